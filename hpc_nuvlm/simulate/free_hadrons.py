"""Cross sections of hadrons on free nucleons: what an intranuclear cascade works with.

Nucleons: Cugnon, L'Hôte and Vandermeulen, Nucl. Instrum. Meth. B 111 (1996) 215, with the constants that INCL++ in
Geant4 has; INCL++ keeps the middle formula of unlike nucleons up to 1 GeV/c, where the line here, from 0.8 GeV/c on, is
up to 10 % lower. Mesons and antinucleons: approximate points, drawn by hand after the PDG's compilation of total cross
sections and not read off it: to about 10 %, K- and antinucleons to about 20 %, the shares of channels more roughly.
"""

from __future__ import annotations

import numpy as np

PROTON_TARGET, NEUTRON_TARGET = 0, 1
# Kinetic energy [MeV], then mb
PION_PLUS_PROTON = (
    (10, 3), (50, 21), (100, 75), (140, 145), (180, 203), (195, 206), (220, 180), (250, 140), (300, 88), (350, 58),
    (400, 41), (500, 23), (600, 16), (700, 15), (800, 21), (1000, 27), (1200, 37), (1300, 41), (1500, 36), (2000, 30),
    (3000, 29), (5000, 26.5), (1e4, 24.8), (2e4, 23.8), (1e5, 23.5),
)  # fmt: skip
PION_MINUS_PROTON = (
    (10, 9), (50, 12), (100, 29), (140, 55), (180, 70), (195, 71), (220, 63), (250, 51), (300, 36), (350, 29),
    (400, 27), (500, 31), (610, 47), (700, 37), (800, 43), (900, 59), (1000, 43), (1200, 36), (1500, 35), (2000, 34),
    (3000, 31.5), (5000, 28.5), (1e4, 26.3), (2e4, 25), (1e5, 24.3),
)  # fmt: skip
# Share of meson production; of what is left, charge exchange has 2/3 for pi- p through the Delta, less above
PION_PLUS_PRODUCTION = (
    (300, 0),
    (400, 0.05),
    (500, 0.15),
    (700, 0.45),
    (1000, 0.55),
    (1300, 0.55),
    (2000, 0.68),
    (5000, 0.8),
    (1e4, 0.84),
)
PION_MINUS_PRODUCTION = (
    (250, 0),
    (400, 0.15),
    (500, 0.3),
    (610, 0.38),
    (800, 0.48),
    (1000, 0.55),
    (2000, 0.7),
    (5000, 0.8),
    (1e4, 0.84),
)
PION_EXCHANGE = (
    (50, 0.62), (200, 0.65), (300, 0.6), (500, 0.4), (700, 0.25), (1000, 0.15), (2000, 0.05), (5000, 0.0),
)  # fmt: skip
KAON_PLUS_PROTON = ((1, 11), (300, 12.5), (500, 14), (700, 18), (1500, 17.8), (1e4, 17.3), (1e5, 18.5))
KAON_PLUS_NEUTRON = ((1, 8), (150, 13), (300, 16), (700, 20), (1500, 18.7), (1e4, 17.7), (1e5, 18.5))
KAON_PLUS_PRODUCTION = ((250, 0), (400, 0.12), (700, 0.45), (1500, 0.65), (5000, 0.78), (1e4, 0.82))
KAON_PLUS_EXCHANGE = ((1, 0.25), (300, 0.4), (700, 0.2), (1500, 0.08), (5000, 0.0))
KAON_MINUS_PROTON = (
    (5, 200),
    (50, 110),
    (100, 75),
    (200, 42),
    (400, 35),
    (640, 47),
    (900, 35),
    (1500, 31),
    (3000, 27),
    (1e4, 22.5),
    (1e5, 20.5),
)
KAON_MINUS_NEUTRON = (
    (5, 120),
    (50, 70),
    (100, 50),
    (200, 32),
    (400, 30),
    (640, 36),
    (900, 33),
    (1500, 28),
    (3000, 24),
    (1e4, 21),
    (1e5, 20),
)
KAON_MINUS_REST = ((5, 0.6), (100, 0.5), (400, 0.45), (1000, 0.65), (3000, 0.8), (1e4, 0.86))
KAON_MINUS_EXCHANGE = ((5, 0.15), (100, 0.12), (400, 0.15), (1000, 0.05), (3000, 0.0))
ANTIPROTON_PROTON = ((10, 320), (50, 210), (150, 155), (400, 118), (1000, 96), (3000, 74), (1e4, 56), (1e5, 43))
ANTIPROTON_REST = ((10, 0.65), (150, 0.63), (1000, 0.66), (1e4, 0.78), (1e5, 0.82))
ANTIPROTON_EXCHANGE = ((10, 0.06), (150, 0.07), (1000, 0.06), (3000, 0.03), (1e4, 0.0))
# Absorption of a pion on a pair at the nucleus's central density [mb]: drawn by hand in the shape of pi+ d -> p p
# (s-wave tail and Delta peak; Ritchie, Phys. Rev. C 44 (1991) 533, not checked against the original), the size set so
# that the cascade absorbs what LADS measured on argon, 393 +- 21, 366 +- 22 and 282 +- 21 mb of pi+ at 118, 162 and
# 239 MeV (D. C. Rowntree, thesis, MIT 1995, abstract)
PION_ABSORPTION = (
    (5, 27), (10, 20), (30, 17), (50, 20), (80, 32), (110, 54), (140, 105), (170, 140), (200, 115), (240, 52),
    (280, 24), (340, 9), (400, 4), (500, 2), (700, 1.4), (1000, 1), (2000, 0.2), (4000, 0),
)  # fmt: skip


def nucleon_pair_mb(kinetic_mev: np.ndarray, same: bool) -> tuple[np.ndarray, np.ndarray]:
    """Total and elastic cross sections [mb] of nucleons alike (pp, nn) or unlike (pn) (Cugnon et al. 1996)."""
    mass = 0.93891875
    energy = np.maximum(kinetic_mev, 5.0) / 1e3
    p = np.sqrt(energy * (energy + 2 * mass))
    if same:
        bounds = [p < 0.44, p < 0.8, p < 1.5]
        middle = 23.5 + 24.6 / (1 + np.exp(-10 * (p - 1.2)))
        high = 41 + 60 * (p - 0.9) * np.exp(-1.2 * p)
        total = np.select(bounds, [34 * (p / 0.4) ** -2.104, 23.5 + 1000 * (p - 0.7) ** 4, middle], high)
        elastic = np.where(p < 2, 1250 / (p + 50) - 4 * (p - 1.3) ** 2, 77 / (p + 1.5))
    else:
        bounds = [p < 0.45, p < 0.8, p < 2.0]
        low = 6.3555 * p**-3.2481 * np.exp(-0.377 * np.log(p) ** 2)
        total = np.select(bounds, [low, 33 + 196 * np.abs(p - 0.95) ** 2.5, 24.2 + 8.9 * p], 42.0)
        elastic = np.where(p < 2, 31 / np.sqrt(p), 77 / (p + 1.5))
    return total, np.where(p < 0.8, total, np.minimum(elastic, total))
