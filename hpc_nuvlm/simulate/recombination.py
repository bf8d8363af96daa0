"""Recombination in liquid argon: the constants of two measured laws, as the drift kernel takes them.

Birks:        R = A / (1 + k (dE/dx) / (density x field)).     S. Amoruso et al. (ICARUS), NIM A 523 (2004) 275
modified box: R = ln(alpha + b) / b, b = beta (dE/dx) / (density x field).
              R. Acciarri et al. (ArgoNeuT), JINST 8 (2013) P08005
The constants are those of LArSoft (PhysicalConstants.h).
"""

from __future__ import annotations

from nuvlm_kernels import drift

# g/cm3; of the measurements, 1.396 (ICARUS) and 1.383 (ArgoNeuT), at boiling point under their pressures
DENSITY_G_PER_CM3 = 1.396
BIRKS_A, BIRKS_K_G_KV_PER_MEV_CM3 = 0.800, 0.0486
BOX_ALPHA, BOX_BETA_G_KV_PER_MEV_CM3 = 0.93, 0.212
MODELS = {"none": drift.NO_RECOMBINATION, "birks": drift.BIRKS, "box": drift.BOX}
# Minimum ionization in liquid argon (Review of Particle Physics, atomic and nuclear properties): 2.105 MeV/cm
MIP_MEV_PER_MM = 0.2105


def constants(model: str, field_kv_per_cm: float, strength: float = 1.0) -> tuple[int, float, float]:
    """Code of the model, its A or alpha, and `strength` times its k or beta over density x field [mm/MeV]."""
    first = {"none": 1.0, "birks": BIRKS_A, "box": BOX_ALPHA}[model]
    second = {"none": 0.0, "birks": BIRKS_K_G_KV_PER_MEV_CM3, "box": BOX_BETA_G_KV_PER_MEV_CM3}[model]
    # [cm/MeV] -> [mm/MeV]
    return MODELS[model], first, 10.0 * strength * second / (DENSITY_G_PER_CM3 * field_kv_per_cm)
