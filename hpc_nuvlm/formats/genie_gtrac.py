"""GENIE's `gRooTracker` tree (`gntpc -f rootracker`): the whole StdHep record of an event, particle by particle.

Status codes (GENIE Physics and User Manual, arXiv:1510.05494): 0 initial, 1 final, 2 intermediate, 3 decayed,
11 struck nucleon, 12 before hadronization, 14 hadron in the nucleus, 15 remnant, 16 marked for de-excitation.
All of status 1 goes into the Interaction, in the file's order: also a recoiling nucleus and GENIE's 2000000101,
which carries the energy that binding took. The remnant (15) is not followed. Energies in GeV.

CC or NC, and the mode, are in the text EvtCode ("proc:Weak[CC],QES"), where that can be read. Else the record tells:
CC if the first final particle whose mother is the neutrino is a charged lepton; the mode by what was struck and
what came of it (see _recorded_mode), None if that fits nothing.
"""

from __future__ import annotations

import re

import numpy as np

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.formats.genie_tree import FOUR_VECTORS, NUMBER, NUMBERS, TEXT, Row, finite
from hpc_nuvlm.formats.genie_truth import CHARGED_LEPTONS, NEUTRINOS, interaction_of, invariants
from hpc_nuvlm.interaction import Interaction

NAME = "gRooTracker"
PARTICLES = {"StdHepPdg": NUMBERS, "StdHepStatus": NUMBERS, "StdHepFm": NUMBERS, "StdHepP4": FOUR_VECTORS}
REQUIRED = {"StdHepN": NUMBER, **PARTICLES}
CODE = "EvtCode/fString"
OPTIONAL = {CODE: TEXT}

INITIAL, FINAL, DECAYED, STRUCK, BEFORE_HADRONS, IN_NUCLEUS = 0, 1, 3, 11, 12, 14
HADRONIC_SYSTEM = 2000000001
# Two nucleons at once: nn, np, pp
CLUSTERS = (2000000200, 2000000201, 2000000202)
NUCLEONS = (2112, 2212)
SMALLEST_NUCLEUS = 1000000000
CODE_MODES = {"QES": "qe", "MEC": "mec", "RES": "res", "DIS": "dis", "COH": "coh"}
CODE_PATTERN = re.compile(r"proc:(?P<current>[^,;]*),(?P<process>[^;]*)")


def interaction(row: Row, where: str) -> Interaction:
    """One entry. The neutrino is the first particle, as GENIE writes it."""
    pdg, status, mother, four_vectors = _particles(row, where)
    nu_pdg = int(pdg[0])
    children = np.flatnonzero((status == FINAL) & (mother == 0))
    if not len(children):
        raise FormatError(f"{where}: StdHepFm: no final particle comes from the neutrino; fetch the file again")
    lepton = children[0]
    is_cc, mode = _coded_truth(row.get(CODE))
    if is_cc is None and mode is None:
        is_cc, mode = _recorded_current(nu_pdg, pdg[children]), _recorded_mode(pdg, status, mother)
    q2, w, y = invariants(four_vectors[0], four_vectors[lepton], mode)
    final = status == FINAL
    nuclei = pdg[(status == INITIAL) & (pdg > SMALLEST_NUCLEUS)]
    return interaction_of(
        where,
        pdg[final],
        four_vectors[final],
        nu_pdg=nu_pdg,
        is_cc=is_cc,
        mode=mode,
        nu_energy_gev=float(four_vectors[0, 3]),
        lepton_energy_gev=float(four_vectors[lepton, 3]),
        q2_gev2=q2,
        w_gev=w,
        inelasticity=y,
        target_pdg=int(nuclei[0]) if len(nuclei) else None,
    )


def _particles(row: Row, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    if len(lengths := {len(row[name]) for name in PARTICLES} | {int(row["StdHepN"])}) > 1:
        raise FormatError(
            f"{where}: StdHepN is {row['StdHepN']}, arrays {', '.join(PARTICLES)} have lengths {sorted(lengths)}; "
            "they must be equal; the file is damaged; fetch it again"
        )
    pdg, status, mother = (np.asarray(row[name], np.int64) for name in ("StdHepPdg", "StdHepStatus", "StdHepFm"))
    if not len(pdg) or status[0] != INITIAL or abs(pdg[0]) not in (*NEUTRINOS, *CHARGED_LEPTONS):
        raise FormatError(
            f"{where}: StdHepPdg: begins with {pdg[:1].tolist()}, status {status[:1].tolist()}; the incoming neutrino "
            "(status 0) must come first; write the file again with GENIE's gntpc -f rootracker"
        )
    return pdg, status, mother, finite(row["StdHepP4"], where, "StdHepP4").reshape(-1, 4)


def _coded_truth(text: str | None) -> tuple[bool | None, str | None]:
    """(is CC, mode) as EvtCode says; (None, None) for the text of other programs, or none."""
    if text is None or (found := CODE_PATTERN.search(text)) is None:
        return None, None
    is_cc = {"Weak[CC]": True, "Weak[NC]": False}.get(found["current"])
    return is_cc, CODE_MODES.get(found["process"], "other")


def _recorded_current(nu_pdg: int, products: np.ndarray) -> bool | None:
    """True for the neutrino's charged partner among what came of it, False for the neutrino itself, else None."""
    partner = (abs(nu_pdg) - 1) * (1 if nu_pdg > 0 else -1)
    if abs(nu_pdg) not in NEUTRINOS or not {partner, nu_pdg} & set(products.tolist()):
        return None
    return partner in products


def _recorded_mode(pdg: np.ndarray, status: np.ndarray, mother: np.ndarray) -> str | None:
    """Struck pair: mec. Struck nucleon: dis with a hadronic system, res with a resonance, qe with one hadron alone.

    Nothing struck, but the nucleus as a whole in the final state: coh.
    """
    struck = np.flatnonzero(status == STRUCK)
    if not len(struck):
        whole = (status == FINAL) & (pdg > SMALLEST_NUCLEUS) & np.isin(pdg, pdg[status == INITIAL])
        return "coh" if whole.any() else None
    if pdg[struck[0]] in CLUSTERS:
        return "mec"
    if pdg[struck[0]] not in NUCLEONS:
        return "other"
    if (np.isin(status, (BEFORE_HADRONS, DECAYED)) & (pdg == HADRONIC_SYSTEM)).any():
        return "dis"
    products = (mother == struck[0]) & (status != STRUCK)
    if (products & (status == DECAYED)).any():
        return "res"
    return "qe" if np.isin(status[products], (FINAL, IN_NUCLEUS)).sum() == 1 == products.sum() else None
