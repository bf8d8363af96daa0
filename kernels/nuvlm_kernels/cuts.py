"""Energies at which transport stops following one by one, and lumps together instead [MeV].

What is lumped: delta rays below DELTA_CUT_MEV and bremsstrahlung below BREMS_CUT_MEV are deposited along the track
that made them; an electron below ELECTRON_CUT_MEV is deposited on a straight line as long as its practical range
(0.4 mm at 0.25 MeV in liquid argon, under the pixels of any detector here); a photon below PHOTON_CUT_MEV where it is
(its mean free path at 10 keV is 0.1 mm).
"""

DELTA_CUT_MEV = 1.0
BREMS_CUT_MEV = 0.5
PHOTON_CUT_MEV = 0.01
ELECTRON_CUT_MEV = 0.25
