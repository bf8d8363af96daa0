"""Species that transport follows: small whole numbers, which index every table, with PDG code, mass and charge.

Masses: Review of Particle Physics 2024, S. Navas et al., Phys. Rev. D 110, 030001.
"""

import numpy as np

PHOTON, ELECTRON, POSITRON, MUON_MINUS, MUON_PLUS, PION_PLUS, PION_MINUS, PION_ZERO = range(8)
KAON_PLUS, KAON_MINUS, KAON_LONG, PROTON, NEUTRON, ANTIPROTON, ANTINEUTRON = range(8, 15)
NUM_SPECIES = 15

# Indexed by species
PDG = np.array([22, 11, -11, 13, -13, 211, -211, 111, 321, -321, 130, 2212, 2112, -2212, -2112], np.int32)
MASS_MEV = np.array(
    [
        0.0,
        0.51099895,
        0.51099895,
        105.6583755,
        105.6583755,
        139.57039,
        139.57039,
        134.9768,
        493.677,
        493.677,
        497.611,
        938.27208816,
        939.5654205,
        938.27208816,
        939.5654205,
    ]
)
CHARGE = np.array([0, -1, 1, -1, 1, 1, -1, 0, 1, -1, 0, 1, 0, -1, 0], np.int64)
