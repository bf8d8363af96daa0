"""Cross sections of all processes on a nucleus against energy, and the tables from which their kinematics is drawn.

Per nucleon: quasielastic.py, resonances.py, quarks.py; whole nucleus: coherent.py; pairs of nucleons: here. A nucleus
counts its nucleons at rest, except that Pauli's principle shrinks the quasi-elastic cross section.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from hpc_nuvlm.simulate import coherent, quarks, quasielastic, resonances
from hpc_nuvlm.simulate.constants import PION_GEV, W_JOIN_GEV, W_PION_GEV, Probe
from hpc_nuvlm.simulate.nucleus import Nucleus, pauli_factor
from hpc_nuvlm.simulate.phase_space import HIGHEST_GEV, LOWEST_GEV, NUM_ENERGIES, Reaction, Table
from hpc_nuvlm.simulate.species import MASS_GEV, NUCLEON_GEV

# Pairs of nucleons: the empirical model of T. Katori, AIP Conf. Proc. 1663 (2015) 030001 (arXiv:1304.6014): shape in W
# and Q2, and the share of neutron-proton pairs. Strength relative to quasi-elastic: between the Valencia model (0.2,
# R. Gran et al., Phys. Rev. D88 (2013) 113007) and Katori's fit to MiniBooNE (0.45)
PAIR_STRENGTH, PAIR_NP = 0.30, 0.8
PAIR_W_GEV, PAIR_WIDTH_GEV, PAIR_Q2_GEV2 = 2.1, 0.05, 0.5
HIGHEST_W_GEV = 12.0


class Process(NamedTuple):
    """One line of the sum over processes: what is struck is a nucleon (its charge), a pair (theirs), or the nucleus."""

    mode: str
    probe: Probe
    struck: tuple[int, ...]
    table: Table


def pair_shape(energy, w, q2, lepton_gev: float):
    """Shape (no scale) of d2sigma/dW dQ2 off a pair of nucleons: Katori's transverse Llewellyn Smith form."""
    m2 = (2.0 * NUCLEON_GEV) ** 2
    tau = q2 / (4.0 * m2)
    strength = np.exp(-0.5 * ((w - PAIR_W_GEV) / PAIR_WIDTH_GEV) ** 2) * q2 * (1.0 + q2 / PAIR_Q2_GEV2) ** -8
    a = (lepton_gev**2 + q2) / m2 * (tau * (1.0 + tau) - tau**2 * (1.0 - tau) + 4.0 * tau**2) / (1.0 + tau) ** 2
    c = tau / 4.0 / (1.0 + tau)
    s_u = 4.0 * 2.0 * NUCLEON_GEV * energy - q2 - lepton_gev**2
    return strength * np.maximum(a + s_u**2 / m2**2 * c, 0.0) / energy**2


@cache
def nucleon_table(mode: str, probe: Probe) -> Table:
    """Table of one mode on a free nucleon; the continuum below W = 1.7 GeV has its own, called background."""
    m, lepton = NUCLEON_GEV, probe.lepton_gev
    if mode == "qe":
        return Table(Reaction(m, lepton, m, m, lambda e, w, q2: quasielastic.differential(e, q2, probe), num_q2=200))
    if mode == "mec":
        low, high = 2.0 * m + 0.01, PAIR_W_GEV + 5.0 * PAIR_WIDTH_GEV
        return Table(Reaction(2.0 * m, lepton, low, high, lambda e, w, q2: pair_shape(e, w, q2, lepton)))
    model, low, high = {
        "res": (resonances, W_PION_GEV, W_JOIN_GEV),
        "background": (quarks, W_PION_GEV, W_JOIN_GEV),
        "dis": (quarks, W_JOIN_GEV, HIGHEST_W_GEV),
    }[mode]
    return Table(Reaction(m, lepton, low, high, lambda e, w, q2: model.differential(e, w, q2, probe)))


@cache
def coherent_table(probe: Probe, nucleus: Nucleus) -> Table:
    low = nucleus.mass_gev + PION_GEV
    high = math.sqrt(nucleus.mass_gev**2 + 2.0 * nucleus.mass_gev * HIGHEST_GEV)
    return Table(
        Reaction(
            nucleus.mass_gev,
            probe.lepton_gev,
            low,
            high,
            lambda e, w, q2: coherent.differential(e, w, q2, probe, nucleus),
        )
    )


@cache
def blocked(probe: Probe, fermi_gev: float) -> np.ndarray:
    """Quasi-elastic cross section [1e-38 cm2] per bound nucleon at the tables' energies."""
    m = NUCLEON_GEV

    def reduced(e, w, q2):
        return quasielastic.differential(e, q2, probe) * pauli_factor(q2, fermi_gev)

    return Table(Reaction(m, probe.lepton_gev, m, m, reduced, num_q2=200)).total


def processes(sign: int, is_cc: bool, lepton_gev: float, nucleus: Nucleus) -> tuple[list[Process], np.ndarray]:
    """Processes of a (anti)neutrino on a nucleus, and their cross sections [1e-38 cm2], shape (P, NUM_ENERGIES)."""
    lepton = lepton_gev if is_cc else 0.0
    found, totals = [], []
    elastic = np.zeros(NUM_ENERGIES)
    for charge, count in ((1, nucleus.protons), (0, nucleus.neutrons)):
        probe = Probe(sign, is_cc, charge, lepton)
        for mode in ("qe", "res", "background", "dis"):
            if mode == "qe" and probe.hadron_charge not in (0, 1):
                continue
            table = nucleon_table(mode, probe)
            total = count * (blocked(probe, nucleus.fermi_gev[1 - charge]) if mode == "qe" else table.total)
            elastic = elastic + (total if mode == "qe" else 0.0)
            found.append(Process("dis" if mode == "background" else mode, probe, (charge,), table))
            totals.append(total)
    for pair, share in pairs(sign, is_cc):
        probe = Probe(sign, is_cc, sum(pair), lepton)
        table = nucleon_table("mec", Probe(sign, is_cc, 0, lepton))
        found.append(Process("mec", probe, pair, table))
        totals.append(share * PAIR_STRENGTH * ratio_at_1gev(elastic, table.total) * table.total)
    probe = Probe(sign, is_cc, 0, lepton)
    found.append(Process("coh", probe, (), coherent_table(probe, nucleus)))
    totals.append(found[-1].table.total)
    return found, np.array(totals)


def ratio_at_1gev(first: np.ndarray, second: np.ndarray) -> float:
    """Ratio of two cross sections at 1 GeV; of their last values (highest energy) where the second has not begun."""
    index = int(math.log(1.0 / LOWEST_GEV) / math.log(HIGHEST_GEV / LOWEST_GEV) * (NUM_ENERGIES - 1))
    index = index if second[index] > 0.0 else NUM_ENERGIES - 1
    return float(first[index] / second[index])


def pairs(sign: int, is_cc: bool) -> tuple[tuple[tuple[int, int], float], ...]:
    """Charges of the struck pair, and its share: one nucleon must be able to take the charge."""
    if not is_cc:
        return ((1, 0), PAIR_NP), ((1, 1), 0.5 * (1.0 - PAIR_NP)), ((0, 0), 0.5 * (1.0 - PAIR_NP))
    return ((1, 0), PAIR_NP), ((0, 0) if sign > 0 else (1, 1), 1.0 - PAIR_NP)


class CrossSections:
    """All processes of one neutrino (PDG code) on a nucleus; energies between LOWEST_GEV and HIGHEST_GEV."""

    def __init__(self, nu_pdg: int, nucleus: Nucleus):
        self.nu_pdg, self.nucleus = nu_pdg, nucleus
        sign, lepton = (1 if nu_pdg > 0 else -1), MASS_GEV[abs(nu_pdg) - 1]
        self.by_current = {cc: processes(sign, cc, lepton, nucleus) for cc in (True, False)}
        self.log_first = math.log(LOWEST_GEV)
        self.log_step = math.log(HIGHEST_GEV / LOWEST_GEV) / (NUM_ENERGIES - 1)

    def parts(self, energy_gev: float, is_cc: bool) -> np.ndarray:
        """Cross section of each process [1e-38 cm2 per nucleus], linear in log energy; 0 outside the tables.

        The removal energy is taken off the neutrino's: to first order it lowers the mass squared of the system so.
        """
        totals = self.by_current[is_cc][1]
        energy_gev = energy_gev - self.nucleus.removal_gev
        if not LOWEST_GEV < energy_gev < HIGHEST_GEV:
            return np.zeros(len(totals))
        place = (math.log(energy_gev) - self.log_first) / self.log_step
        low = min(int(place), NUM_ENERGIES - 2)
        return totals[:, low] + (place - low) * (totals[:, low + 1] - totals[:, low])

    def total(self, energy_gev: float | np.ndarray, is_cc: bool) -> float | np.ndarray:
        """Sum of all processes of a current [1e-38 cm2 per nucleus], of one energy [GeV] or an array of them."""
        energy = np.asarray(energy_gev) - self.nucleus.removal_gev
        place = (np.log(np.maximum(energy, 1e-9)) - self.log_first) / self.log_step
        summed = np.interp(place, np.arange(NUM_ENERGIES), self.by_current[is_cc][1].sum(axis=0), left=0.0, right=0.0)
        return summed if summed.ndim else float(summed)

    def by_mode(self, energy_gev: float, is_cc: bool) -> dict[str, float]:
        """Cross section [1e-38 cm2 per nucleus] of each mode."""
        found: dict[str, float] = {}
        for process, part in zip(self.by_current[is_cc][0], self.parts(energy_gev, is_cc)):
            found[process.mode] = found.get(process.mode, 0.0) + float(part)
        return found
