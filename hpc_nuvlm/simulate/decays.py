"""Decays of what transport does not follow: taus, neutral kaons, eta, hyperons, vector mesons, charmed hadrons.

Branching fractions, lifetimes: Review of Particle Physics 2024, S. Navas et al., Phys. Rev. D 110, 030001. Only the
larger channels, scaled to 1. Products share phase space alike: spin, polarization (of the tau too) and resonant
substructure are left out, but for pions from rho and a1 in tau decays.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.relativity import FourVector, length, phase_space
from hpc_nuvlm.simulate.resonance_decay import pick
from hpc_nuvlm.simulate.species import MASS_GEV

LIGHT_MM_PER_NS = 299.792458
# c tau [mm]; 0 for those that decay at once
LIFETIME_MM = {
    15: 0.0870, 310: 26.844, 3122: 78.9, 3112: 44.34, 3222: 24.04, 3312: 49.1, 3322: 87.1, 3334: 24.61,
    411: 0.3098, 421: 0.1230, 431: 0.1510, 4122: 0.0607, 4132: 0.0455, 4232: 0.1358, 4332: 0.082,
}  # fmt: skip
# code -> ((products, branching fraction), ...) of the particle; its antiparticle decays to the antiparticles
CHANNELS: dict[int, tuple[tuple[tuple[int, ...], float], ...]] = {
    15: (
        ((11, -12, 16), 0.1782), ((13, -14, 16), 0.1739), ((-211, 16), 0.1082), ((-213, 16), 0.2549),
        ((-211, 111, 111, 16), 0.0926), ((-211, -211, 211, 16), 0.0931), ((-211, -211, 211, 111, 16), 0.0462),
        ((-211, 111, 111, 111, 16), 0.0104), ((-321, 16), 0.0070), ((-323, 16), 0.0120),
    ),
    311: (((310,), 0.5), ((130,), 0.5)),
    310: (((211, -211), 0.6920), ((111, 111), 0.3069)),
    221: (((22, 22), 0.3936), ((111, 111, 111), 0.3257), ((211, -211, 111), 0.2302), ((211, -211, 22), 0.0428)),
    331: (((211, -211, 221), 0.425), ((113, 22), 0.295), ((111, 111, 221), 0.224), ((223, 22), 0.0252),
          ((22, 22), 0.0231)),
    113: (((211, -211), 1.0),),
    213: (((211, 111), 1.0),),
    223: (((211, -211, 111), 0.892), ((111, 22), 0.0835), ((211, -211), 0.0153)),
    333: (((321, -321), 0.491), ((310, 130), 0.339), ((211, -211, 111), 0.154), ((221, 22), 0.0130)),
    313: (((321, -211), 2 / 3), ((311, 111), 1 / 3)),
    323: (((311, 211), 2 / 3), ((321, 111), 1 / 3)),
    3122: (((2212, -211), 0.641), ((2112, 111), 0.359)),
    3212: (((3122, 22), 1.0),),
    3222: (((2212, 111), 0.5147), ((2112, 211), 0.4843)),
    3112: (((2112, -211), 1.0),),
    3322: (((3122, 111), 1.0),),
    3312: (((3122, -211), 1.0),),
    3334: (((3122, -321), 0.678), ((3322, -211), 0.243), ((3312, 111), 0.0855)),
    2224: (((2212, 211), 1.0),),
    2214: (((2212, 111), 2 / 3), ((2112, 211), 1 / 3)),
    2114: (((2112, 111), 2 / 3), ((2212, -211), 1 / 3)),
    1114: (((2112, -211), 1.0),),
    411: (((-311, -11, 12), 0.0872), ((-311, -13, 14), 0.0876), ((-321, 211, 211), 0.0938),
          ((-321, 211, 211, 111), 0.0625), ((-311, 211, 111), 0.147), ((-311, 211), 0.0312),
          ((-311, 211, 211, -211), 0.061), ((-313, -11, 12), 0.054),
          ((-313, -13, 14), 0.0527)),
    421: (((-321, -11, 12), 0.0354), ((-321, -13, 14), 0.0341), ((-321, 211), 0.0395), ((-321, 211, 111), 0.144),
          ((-321, 211, 211, -211), 0.0822), ((-311, 211, -211), 0.056), ((-311, 111), 0.0248),
          ((-321, 211, 111, 111), 0.0886), ((-311, 211, -211, 111), 0.103)),
    431: (((333, -11, 12), 0.0239), ((333, -13, 14), 0.0224), ((321, -321, 211), 0.0537), ((-311, 321), 0.0290),
          ((333, 211, 111), 0.0550), ((221, 213), 0.089), ((331, 213), 0.058), ((321, -321, 211, 111), 0.0550)),
    4122: (((2212, -321, 211), 0.0624), ((2212, -311), 0.0318), ((3122, 211, 111), 0.0701), ((3122, 211), 0.0129),
           ((3122, -11, 12), 0.0356), ((3122, -13, 14), 0.0348), ((2212, -321, 211, 111), 0.0446),
           ((3122, 211, 211, -211), 0.0361), ((3222, 211, -211), 0.0450)),
    4222: (((4122, 211), 1.0),), 4212: (((4122, 111), 1.0),), 4112: (((4122, -211), 1.0),),
    4132: (((3312, 211), 1.0),), 4232: (((3322, 211), 1.0),), 4332: (((3334, 211), 1.0),),
    413: (((421, 211), 0.677), ((411, 111), 0.307)),
    423: (((421, 111), 0.647), ((421, 22), 0.353)),
    433: (((431, 22), 0.936), ((431, 111), 0.058)),
}  # fmt: skip
# Particles that are their own antiparticles
SELF_CONJUGATE = {22, 111, 113, 130, 221, 223, 310, 331, 333}


def conjugate(code: int) -> int:
    return code if code in SELF_CONJUGATE else -code


def is_short_lived(code: int) -> bool:
    return abs(code) in CHANNELS


def decay(code: int, p: FourVector, rng: np.random.Generator) -> list[tuple[int, FourVector]]:
    """Products (code, four-momentum) of one particle; its mass is that of its four-momentum, on or off the peak."""
    channels = CHANNELS[abs(code)]
    free = (max(0.0, p[0] ** 2 - length(p[1:]) ** 2)) ** 0.5
    allowed = [c for c in channels if sum(MASS_GEV[abs(x)] for x in c[0]) < free or len(c[0]) == 1]
    allowed = allowed or [min(channels, key=lambda c: sum(MASS_GEV[abs(x)] for x in c[0]))]
    total = sum(fraction for _, fraction in allowed)
    products = pick([(channel, fraction / total) for channel, fraction in allowed], rng)
    codes = [product if code > 0 else conjugate(product) for product in products]
    if len(codes) == 1:
        return [(codes[0], p)]
    return list(zip(codes, phase_space(p, [MASS_GEV[abs(x)] for x in codes], rng)))


def flight(code: int, p: FourVector, rng: np.random.Generator) -> tuple[tuple[float, float, float], float]:
    """(displacement [mm], time [ns]) until the decay: exponential in proper time."""
    lifetime = LIFETIME_MM.get(abs(code), 0.0)
    if lifetime == 0.0:
        return (0.0, 0.0, 0.0), 0.0
    proper = -lifetime * float(np.log1p(-rng.random())) / MASS_GEV[abs(code)]
    return (proper * p[1], proper * p[2], proper * p[3]), proper * p[0] / LIGHT_MM_PER_NS


def decay_short_lived(interaction: Interaction, rng: np.random.Generator) -> Interaction:
    """The interaction with every short-lived primary replaced by its products, where and when they appear.

    final_state and the other truth stay as they are. Codes that are neither in CHANNELS nor known to transport stay.
    """
    if not any(is_short_lived(int(code)) for code in interaction.pdg):
        return interaction
    kept: list[tuple[int, FourVector, tuple[float, float, float], float]] = []
    queue = [
        (int(code), (e / 1e3, *(p / 1e3).tolist()), tuple(x.tolist()), float(t))
        for code, e, p, x, t in zip(
            interaction.pdg, interaction.energy_mev, interaction.momentum_mev, interaction.position_mm,
            interaction.time_ns,
        )
    ][::-1]  # fmt: skip
    while queue:
        code, p, place, time = queue.pop()
        if not is_short_lived(code):
            kept.append((code, p, place, time))
            continue
        step, wait = flight(code, p, rng)
        place = (place[0] + step[0], place[1] + step[1], place[2] + step[2])
        queue.extend((one, q, place, time + wait) for one, q in decay(code, p, rng)[::-1])
    return dataclasses.replace(
        interaction,
        pdg=np.array([code for code, *_ in kept], np.int32),
        energy_mev=1e3 * np.array([p[0] for _, p, _, _ in kept]),
        momentum_mev=1e3 * np.array([p[1:] for _, p, _, _ in kept]),
        position_mm=np.array([place for _, _, place, _ in kept], float),
        time_ns=np.array([time for *_, time in kept], float),
    )
