"""Cross sections of hadrons on argon and, inside the nucleus, on nucleons: the tables that hadron transport reads.

Anchors are joined by straight lines in ln T (T: kinetic energy [MeV]).

Argon, inelastic (quasi-elastic knock-out counts)
* pi+, pi-: Barashenkov's evaluation for calcium, which differs from argon by 0.3 % in mass number, as Geant4's
  G4UPiNuclearCrossSection tabulates it, scaled by 0.989 so that the high-energy limit is the pion interaction length of
  argon in the PDG's atomic and nuclear properties, 149.0 g/cm2 (quoted from there, the page not checked again). At
  lower energies cross sections are larger, lengths shorter.
* p, n: Letaw, Silberberg and Tsao, Astrophys. J. Suppl. 51 (1983) 271, as codes of cosmic-ray propagation have it. That
  counts quasi-elastic scattering, which the PDG's nuclear interaction length, 119.7 g/cm2, leaves out, so between 3 and
  50 GeV it is brought down to the latter. Neutrons below 20 MeV: rough averages drawn by hand, to 20 to 30 %.
* K+: 380 mb (ProtoDUNE-SP at 6 and 7 GeV/c, as quoted from arXiv:2408.00582, not checked: 380 +- 26 and 379 +- 35 mb),
  a little less below 300 MeV. K-, antinucleons: drawn by hand (20 %), hydrogen scaled by the nucleus's size. K0L: mean
  of K+ and K-.

Argon, total: neutrons by approximate points, drawn by hand: through CAPTAIN's 0.91 +- 0.13 b from 100 to 800 MeV (Phys.
Rev. Lett. 123 (2019) 042502), below that in the shape known from calcium (Finlay et al., Phys. Rev. C 47 (1993) 237,
not read off), at the end to the PDG's nuclear collision length, 75.7 g/cm2. Perhaps 20 % below 10 MeV, where resonances
are averaged over; the minimum at 57 keV is kept.
Capture: 1/v from 0.673 b at 2200 m/s (ACED, Phys. Rev. D 99 (2019) 103021).
"""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.simulate import free_hadrons as free
from hpc_nuvlm.simulate.argon import ATOMIC_MASS_G_PER_MOL, ATOMS_PER_MM3
from nuvlm_kernels.nucleus import HadronTables
from nuvlm_kernels.particles import (
    ANTINEUTRON,
    ANTIPROTON,
    KAON_LONG,
    KAON_MINUS,
    KAON_PLUS,
    NEUTRON,
    NUM_SPECIES,
    PION_MINUS,
    PION_PLUS,
    PION_ZERO,
    PROTON,
)

FIRST_MEV, LAST_MEV, NUM_POINTS = 5e-9, 2e5, 400
MM2_PER_MB, FM2_PER_MB = 1e-25, 0.1
AVOGADRO_PER_MOL = 6.02214076e23
NUCLEAR_INTERACTION_LENGTH_G_PER_CM2 = 119.7

PION_MEV = (20, 40, 60, 80, 100, 120, 160, 200, 250, 300, 400, 500, 700, 1e3, 2e3, 3e3, 5e3, 1e4, 2e4, 5e4)
PION_MINUS_INELASTIC = (
    470,
    550,
    620,
    860,
    955,
    980,
    920,
    820,
    740,
    665,
    615,
    590,
    600,
    615,
    550,
    525,
    510,
    488,
    470,
    450,
)
PION_PLUS_INELASTIC = (
    160,
    315,
    500,
    745,
    870,
    905,
    860,
    770,
    710,
    640,
    595,
    575,
    590,
    608,
    550,
    525,
    510,
    488,
    470,
    450,
)
PION_MINUS_TOTAL = (
    *(800, 980, 1240, 1460, 1570, 1600, 1535, 1425, 1295, 1200, 1000, 915, 900, 922, 856, 795, 740, 705, 682, 660),
)
PION_PLUS_TOTAL = (
    *(275, 445, 790, 1195, 1440, 1485, 1435, 1335, 1245, 1160, 970, 895, 887, 913, 855, 795, 740, 705, 682, 660),
)
PION_SCALE = 0.989
NEUTRON_TOTAL = (
    (1e-8, 650), (1e-3, 600), (0.02, 400), (0.057, 80), (0.08, 500), (0.2, 1500), (0.5, 2400), (1, 3000), (2, 3200),
    (5, 3200), (10, 2500), (14, 2200), (20, 2000), (30, 2200), (50, 2100), (70, 1800), (100, 1450), (150, 1150),
    (200, 1000), (300, 900), (500, 920), (800, 1000), (1500, 1020), (1e4, 960), (1e5, 876),
)  # fmt: skip
NEUTRON_INELASTIC = ((1.49, 0), (1.6, 150), (2, 400), (3, 800), (4, 1000), (6, 1200), (10, 1250), (14, 1150), (20, 943))
KAON_PLUS_INELASTIC = ((1, 250), (30, 260), (100, 320), (300, 360), (1000, 380), (1e5, 380))
KAON_MINUS_INELASTIC = ((1, 1200), (50, 900), (130, 700), (500, 620), (2000, 520), (1e4, 440), (1e5, 410))
ANTINUCLEON_INELASTIC = ((1, 2500), (10, 1700), (50, 1300), (200, 1050), (1000, 880), (5000, 760), (1e5, 640))
ELASTIC_TO_INELASTIC = 0.5
THERMAL_CAPTURE_MB = 673


def joined(anchors: tuple, kinetic_mev: np.ndarray) -> np.ndarray:
    """Anchors (energy [MeV], value) on straight lines in ln T; constant beyond both ends."""
    energies, values = np.transpose(np.asarray(anchors, float))
    return np.interp(np.log(kinetic_mev), np.log(energies), values)


def letaw_mb(kinetic_mev: np.ndarray) -> np.ndarray:
    """Inelastic cross section [mb] of nucleons on argon above 10 MeV (Letaw et al. 1983)."""
    mass_number = ATOMIC_MASS_G_PER_MOL
    limit = 45 * mass_number**0.7 * (1 + 0.016 * np.sin(5.3 - 2.63 * np.log(mass_number)))
    return limit * (1 - 0.62 * np.exp(-kinetic_mev / 200) * np.sin(10.9 * kinetic_mev**-0.28))


def nucleon_inelastic_mb(kinetic_mev: np.ndarray) -> np.ndarray:
    """Letaw's, brought to the PDG's nuclear interaction length between 3 and 50 GeV."""
    production_mb = ATOMIC_MASS_G_PER_MOL / (AVOGADRO_PER_MOL * NUCLEAR_INTERACTION_LENGTH_G_PER_CM2) * 1e27
    share = np.clip(np.log(kinetic_mev / 3e3) / np.log(50 / 3), 0, 1)
    usual = letaw_mb(np.maximum(kinetic_mev, 10.0))
    return usual * (1 - share) + production_mb * share


def argon_mb(kinetic_mev: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inelastic and elastic cross sections [mb] on argon: two arrays (NUM_SPECIES, N)."""
    inelastic = np.zeros((NUM_SPECIES, len(kinetic_mev)))
    for species, anchors in ((PION_MINUS, PION_MINUS_INELASTIC), (PION_PLUS, PION_PLUS_INELASTIC)):
        inelastic[species] = PION_SCALE * joined(tuple(zip(PION_MEV, anchors)), kinetic_mev)
    elastic = ELASTIC_TO_INELASTIC * inelastic
    for species, anchors in ((PION_MINUS, PION_MINUS_TOTAL), (PION_PLUS, PION_PLUS_TOTAL)):
        elastic[species] = PION_SCALE * joined(tuple(zip(PION_MEV, anchors)), kinetic_mev) - inelastic[species]
    # Nucleus and pion repel each other: 0 at 1 MeV, in the form that Geant4 has
    repelled = np.sqrt(np.clip((kinetic_mev - 1) / 19, 0, 1))
    inelastic[PION_PLUS] *= repelled
    elastic[PION_PLUS] *= repelled
    for species, anchors in (
        (KAON_PLUS, KAON_PLUS_INELASTIC),
        (KAON_MINUS, KAON_MINUS_INELASTIC),
        (ANTIPROTON, ANTINUCLEON_INELASTIC),
        (ANTINEUTRON, ANTINUCLEON_INELASTIC),
    ):
        inelastic[species] = joined(anchors, kinetic_mev)
        elastic[species] = ELASTIC_TO_INELASTIC * inelastic[species]
    inelastic[KAON_LONG] = 0.5 * (inelastic[KAON_PLUS] + inelastic[KAON_MINUS])
    elastic[KAON_LONG] = ELASTIC_TO_INELASTIC * inelastic[KAON_LONG]
    fast = nucleon_inelastic_mb(kinetic_mev)
    inelastic[NEUTRON] = np.where(kinetic_mev > 20, fast, joined(NEUTRON_INELASTIC, kinetic_mev))
    elastic[NEUTRON] = np.maximum(joined(NEUTRON_TOTAL, kinetic_mev) - inelastic[NEUTRON], 0)
    # Coulomb barrier of 4.5 MeV; below some 10 MeV elastic scattering is Coulomb scattering, which tracks have anyway
    barrier = np.clip(1 - 4.5 / kinetic_mev, 0, 1)
    inelastic[PROTON] = fast * barrier
    elastic[PROTON] = elastic[NEUTRON] * np.clip(np.log(kinetic_mev / 10) / np.log(5), 0, 1)
    return inelastic, elastic


def pair_mb(kinetic_mev: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hadrons on free nucleons: total [mb], elastic share, charge-exchange share; each (NUM_SPECIES, 2, N)."""
    total, elastic, exchange = np.zeros((3, NUM_SPECIES, 2, len(kinetic_mev)))
    for species, target in ((PROTON, 0), (PROTON, 1), (NEUTRON, 0), (NEUTRON, 1)):
        total[species, target], part = free.nucleon_pair_mb(kinetic_mev, (species == PROTON) == (target == 0))
        elastic[species, target] = part / total[species, target]

    def fill(species: int, target: int, cross: tuple, rest: tuple, exchange_anchors: tuple | None) -> None:
        total[species, target] = joined(cross, kinetic_mev)
        inelastic = joined(rest, kinetic_mev)
        if exchange_anchors is not None:
            exchange[species, target] = joined(exchange_anchors, kinetic_mev) * (1 - inelastic)
        elastic[species, target] = 1 - inelastic - exchange[species, target]

    # Isospin: pi+ n is pi- p, pi- n is pi+ p, and so on
    for target in (0, 1):
        fill(PION_PLUS if target == 0 else PION_MINUS, target, free.PION_PLUS_PROTON, free.PION_PLUS_PRODUCTION, None)
        other = PION_MINUS if target == 0 else PION_PLUS
        fill(other, target, free.PION_MINUS_PROTON, free.PION_MINUS_PRODUCTION, free.PION_EXCHANGE)
        antinucleon, unlike = (ANTIPROTON, ANTINEUTRON) if target == 0 else (ANTINEUTRON, ANTIPROTON)
        fill(antinucleon, target, free.ANTIPROTON_PROTON, free.ANTIPROTON_REST, free.ANTIPROTON_EXCHANGE)
        fill(unlike, target, free.ANTIPROTON_PROTON, free.ANTIPROTON_REST, None)
    fill(KAON_PLUS, 0, free.KAON_PLUS_PROTON, free.KAON_PLUS_PRODUCTION, None)
    fill(KAON_PLUS, 1, free.KAON_PLUS_NEUTRON, free.KAON_PLUS_PRODUCTION, free.KAON_PLUS_EXCHANGE)
    fill(KAON_MINUS, 0, free.KAON_MINUS_PROTON, free.KAON_MINUS_REST, free.KAON_MINUS_EXCHANGE)
    fill(KAON_MINUS, 1, free.KAON_MINUS_NEUTRON, free.KAON_MINUS_REST, None)
    for target in (0, 1):
        mean_of(PION_ZERO, (PION_PLUS, PION_MINUS), target, total, elastic, exchange)
        mean_of(KAON_LONG, (KAON_PLUS, KAON_MINUS), target, total, elastic, exchange)
    return total, elastic, exchange


def mean_of(species: int, charged: tuple[int, int], target: int, total: np.ndarray, *shares: np.ndarray) -> None:
    """Give a neutral meson the mean cross sections of its charged partners, in place."""
    first, second = charged
    total[species, target] = 0.5 * (total[first, target] + total[second, target])
    for share in shares:
        both = share[first, target] * total[first, target] + share[second, target] * total[second, target]
        share[species, target] = 0.5 * both / total[species, target]


def hadron_tables() -> HadronTables:
    """All tables, on one grid of kinetic energies from 5 meV to 200 GeV."""
    log_first, log_last = np.log(FIRST_MEV), np.log(LAST_MEV)
    kinetic_mev = np.exp(np.linspace(log_first, log_last, NUM_POINTS))
    inelastic, elastic = argon_mb(kinetic_mev)
    total, elastic_share, exchange_share = pair_mb(kinetic_mev)
    per_mm = ATOMS_PER_MM3 * MM2_PER_MB
    return HadronTables(
        float(log_first),
        float((log_last - log_first) / (NUM_POINTS - 1)),
        per_mm * inelastic,
        per_mm * elastic,
        # 1/v: 2.53e-8 MeV is 2200 m/s
        per_mm * THERMAL_CAPTURE_MB * np.sqrt(2.53e-8 / kinetic_mev),
        FM2_PER_MB * total,
        elastic_share,
        exchange_share,
        FM2_PER_MB * joined(free.PION_ABSORPTION, kinetic_mev),
    )
