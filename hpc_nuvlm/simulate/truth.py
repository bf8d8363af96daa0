"""Truth of a simulated event out of its interaction: label, counts, available energy."""

from __future__ import annotations

import math

from hpc_nuvlm.event import Truth, label_of
from hpc_nuvlm.interaction import Interaction

GEV_PER_MEV = 1e-3
# PDG codes by the names that Truth.counts uses; a pion is a charged one
COUNTED = {"proton": (2212,), "pion": (211, -211), "pi0": (111,), "neutron": (2112,)}

NEUTRINOS = (12, 14, 16)
CHARGED_LEPTONS = (11, 13, 15)
NEUTRON = 2112
# Masses [GeV]; Review of Particle Physics 2024, S. Navas et al., Phys. Rev. D 110, 030001
PROTON_MASS_GEV, PION_MASS_GEV = 0.93827209, 0.13957039
MUON_MASS_GEV, TAU_MASS_GEV = 0.10565838, 1.77693
# Baryons have PDG codes of four digits from 1000 on; nuclei have ten, and so have generators' own pseudo-particles
BARYONS, NUCLEI = 1000, 1_000_000_000


def truth_of(interaction: Interaction, vertex_mm: tuple[float, float, float], facts: dict) -> Truth:
    """Truth of an interaction that took place at `vertex_mm`; particles are those that left the nucleus."""
    final_state = _final_state(interaction)
    pdg = [code for code, _ in final_state]
    return Truth(
        label=label_of(interaction.nu_pdg, interaction.is_cc),
        nu_pdg=interaction.nu_pdg,
        is_cc=interaction.is_cc,
        mode=interaction.mode,
        nu_energy_gev=interaction.nu_energy_gev,
        lepton_energy_gev=interaction.lepton_energy_gev,
        q2_gev2=interaction.q2_gev2,
        w_gev=interaction.w_gev,
        inelasticity=interaction.inelasticity,
        available_energy_gev=available_energy_gev(interaction),
        vertex_mm=tuple(map(float, vertex_mm)),
        counts={name: sum(pdg.count(code) for code in codes) for name, codes in COUNTED.items()},
        particles=final_state,
        facts=facts,
    )


def lepton_pdg(interaction: Interaction) -> int | None:
    """PDG code of the outgoing lepton: the neutrino's charged partner in CC, the neutrino in NC; None if unknown."""
    nu_pdg, is_cc = interaction.nu_pdg, interaction.is_cc
    if nu_pdg is None or is_cc is None or abs(nu_pdg) not in NEUTRINOS:
        return None
    return int(math.copysign(abs(nu_pdg) - is_cc, nu_pdg))


def available_energy_gev(interaction: Interaction) -> float:
    """Energy [GeV] of the final state that can be seen: NaN without a neutrino.

    Kinetic energy of protons and charged pions, total energy of electrons, photons and all other mesons, without the
    outgoing lepton: P. A. Rodrigues et al. (MINERvA), Phys. Rev. Lett. 116, 071802 (2016). Neutrons are left out, as
    there. For particles that its definition does not name: hyperons and charmed baryons give what they hold beyond a
    proton at rest, antibaryons their energy and a proton's mass, further charged leptons their kinetic energy.
    """
    if interaction.nu_pdg is None:
        return math.nan
    rest = list(_final_state(interaction))
    first = next((i for i, (code, _) in enumerate(rest) if code == lepton_pdg(interaction)), None)
    if first is not None:
        del rest[first]
    return float(sum(_available(code, energy_gev) for code, energy_gev in rest))


def _available(pdg: int, energy_gev: float) -> float:
    kind = abs(pdg)
    if kind in NEUTRINOS or kind >= NUCLEI or pdg == NEUTRON:
        return 0.0
    if kind == 211:
        return energy_gev - PION_MASS_GEV
    if kind in (13, 15):
        return energy_gev - (MUON_MASS_GEV if kind == 13 else TAU_MASS_GEV)
    if kind >= BARYONS:
        return energy_gev - math.copysign(PROTON_MASS_GEV, pdg)
    return energy_gev


def _final_state(interaction: Interaction) -> tuple[tuple[int, float], ...]:
    """What left the nucleus; where that is not told, what enters transport."""
    if interaction.final_state:
        return interaction.final_state
    energies_gev = (interaction.energy_mev * GEV_PER_MEV).tolist()
    return tuple(zip(interaction.pdg.tolist(), energies_gev, strict=True))
