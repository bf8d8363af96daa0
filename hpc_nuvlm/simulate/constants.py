"""Constants of weak interactions that several modules of the generator share."""

from __future__ import annotations

from typing import NamedTuple

from hpc_nuvlm.simulate.species import NUCLEON_GEV

# Review of Particle Physics 2024, table 1.1 (constants) and sections 10, 12 (weak mixing angle, CKM matrix)
FERMI_PER_GEV2 = 1.1663788e-5
WEAK_MIXING = 0.2315
VUD_SQUARED = 0.97367**2
W_BOSON_GEV = 80.369
# (hbar c)^2 in units of 1e-38 cm2 GeV2: 0.3893794 mb GeV2
CM2_38 = 0.3893793721e11
PION_GEV = 0.138
# Hadronic mass [GeV] at which single-pion production begins
W_PION_GEV = NUCLEON_GEV + PION_GEV
# Below: resonances and a background; above: quarks. As in GENIE, Nucl. Instrum. Meth. A614 (2010) 87, section 2.3
W_JOIN_GEV = 1.7


class Probe(NamedTuple):
    """What hits which nucleon, as cross sections see it."""

    # 1 neutrino, -1 antineutrino
    sign: int
    is_cc: bool
    # Charge of the struck nucleon
    nucleon: int
    # Mass of the outgoing lepton [GeV]
    lepton_gev: float

    @property
    def hadron_charge(self) -> int:
        """Charge of the hadronic system that comes out."""
        return self.nucleon + (self.sign if self.is_cc else 0)
