"""GENIE's summary tree `gst` (`gntpc -f gst`): truth in flags, the outgoing lepton apart, hadrons in arrays.

Branches: GENIE Physics and User Manual, arXiv:1510.05494, section on gst ntuples. Energies in GeV. Nuclear remnants
are not in the file. Of eta mesons and others that GENIE was told to decay, only the products are.
"""

from __future__ import annotations

import math

import numpy as np

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.formats.genie_tree import NUMBER, NUMBERS, Row, finite
from hpc_nuvlm.formats.genie_truth import interaction_of, invariants
from hpc_nuvlm.interaction import Interaction

NAME = "gst"
PARTICLES = dict.fromkeys(("pdgf", "Ef", "pxf", "pyf", "pzf"), NUMBERS)
REQUIRED = {
    **dict.fromkeys(("neu", "cc", "nc", "qel", "res", "dis", "coh", "Ev", "El", "pxl", "pyl", "pzl", "nf"), NUMBER),
    **PARTICLES,
}
# Not in the files of all versions
OPTIONAL = dict.fromkeys(("tgt", "mec", "fspl", "pxv", "pyv", "pzv"), NUMBER)
MODE_FLAGS = {"qel": "qe", "mec": "mec", "res": "res", "dis": "dis", "coh": "coh"}


def interaction(row: Row, where: str) -> Interaction:
    """One entry: the outgoing lepton, which may be a neutrino, and then the particles in the file's order."""
    if len(lengths := {len(row[name]) for name in PARTICLES} | {int(row["nf"])}) > 1:
        raise FormatError(
            f"{where}: nf is {row['nf']}, arrays {', '.join(PARTICLES)} have lengths {sorted(lengths)}; "
            "they must be equal; the file is damaged; fetch it again"
        )
    lepton = _four_vector(row, where, ("pxl", "pyl", "pzl", "El"))
    hadrons = np.stack([finite(row[name], where, name) for name in ("pxf", "pyf", "pzf", "Ef")], axis=1)
    nu_pdg, is_cc = int(row["neu"]), _is_cc(row, where)
    mode = next((mode for flag, mode in MODE_FLAGS.items() if row.get(flag)), "other")
    nu_energy_gev = float(finite(row["Ev"], where, "Ev"))
    q2, w, y = math.nan, math.nan, math.nan
    if "pzv" in row:
        q2, w, y = invariants(_four_vector(row, where, ("pxv", "pyv", "pzv", "Ev")), lepton, mode)
    return interaction_of(
        where,
        np.concatenate([[_lepton_pdg(row, nu_pdg, is_cc, where)], row["pdgf"]]),
        np.concatenate([lepton[None], hadrons]),
        nu_pdg=nu_pdg,
        is_cc=is_cc,
        mode=mode,
        nu_energy_gev=nu_energy_gev,
        lepton_energy_gev=float(lepton[3]),
        q2_gev2=q2,
        w_gev=w,
        inelasticity=y,
        target_pdg=int(row["tgt"]) if "tgt" in row else None,
    )


def _four_vector(row: Row, where: str, names: tuple[str, ...]) -> np.ndarray:
    return np.array([finite(row[name], where, name) for name in names])


def _is_cc(row: Row, where: str) -> bool | None:
    """None if the event is neither, as electron scattering and the mix of both in neutrino-electron scattering."""
    if row["cc"] and row["nc"]:
        raise FormatError(f"{where}: cc and nc are both set; at most one may be; the file is damaged; fetch it again")
    return bool(row["cc"]) if row["cc"] or row["nc"] else None


def _lepton_pdg(row: Row, nu_pdg: int, is_cc: bool | None, where: str) -> int:
    """Branch fspl; files without it: the neutrino's charged partner in CC, the neutrino itself in NC."""
    if "fspl" in row:
        return int(row["fspl"])
    if is_cc is None:
        raise FormatError(
            f"{where}: is neither CC nor NC, and there is no branch fspl that names the outgoing lepton; "
            "write the file again with a current gntpc"
        )
    return (abs(nu_pdg) - is_cc) * (1 if nu_pdg > 0 else -1)
