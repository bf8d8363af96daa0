"""Named changes of the detector response, one line of a configuration each: `response.variant: gain_high`.

A change is a factor on a setting, or its new value. Sizes are those of a detector that is badly known or badly run,
large enough to be seen: for degradation studies, not error bars. For scale: A and k of Birks' law are known to about 1
and 6 % (S. Amoruso et al. (ICARUS), NIM A 523 (2004) 275).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.simulate.settings import Response


@dataclass(frozen=True)
class Factor:
    by: float


# Name -> setting (wires.NAME: of the wire readout) -> its new value, or a factor on the old one
VARIANTS: dict[str, dict[str, Any]] = {
    "recombination_high": {"recombination_strength": Factor(1.2)},
    "recombination_low": {"recombination_strength": Factor(0.8)},
    "recombination_birks": {"recombination": "birks"},
    "recombination_none": {"recombination": "none"},
    "field_low": {"field_kv_per_cm": Factor(0.5)},
    "lifetime_short": {"lifetime_us": 1000.0},
    "lifetime_infinite": {"lifetime_us": None},
    "diffusion_high": {"diffusion_longitudinal_cm2_per_s": Factor(2.0), "diffusion_transverse_cm2_per_s": Factor(2.0)},
    "diffusion_none": {"diffusion_longitudinal_cm2_per_s": 0.0, "diffusion_transverse_cm2_per_s": 0.0},
    "noise_double": {"noise_electrons": Factor(2.0), "wires.noise_electrons": Factor(2.0)},
    "noise_hits_100": {"wires.noise_hits": 100.0},
    "threshold_double": {"threshold_electrons": Factor(2.0), "wires.threshold_electrons": Factor(2.0)},
    "gain_high": {"gain": Factor(1.2)},
    "gain_low": {"gain": Factor(0.8)},
    "dead_wires_5_percent": {"dead_fraction": 0.05},
    "dead_wires_20_percent": {"dead_fraction": 0.2},
}
# In response.variants: no change, and all that change something
NOMINAL, ALL = "nominal", "all"
# Settings that one kind of readout does not look at
NOT_OF_VOXELS = {"wires"}
NOT_OF_WIRES = {"voxel_mm", "noise_electrons", "threshold_electrons", "saturation_electrons"}


def expand(response: Response) -> dict[str, Response]:
    """The settings, one variant each, that `response.variants` asks for, by name; {nominal: the settings} if empty.

    A ConfigError as of vary(), or if "all" is not alone.
    """
    names = response.variants
    if not names:
        return {NOMINAL: response}
    if ALL in names and len(names) > 1:
        raise ConfigError(f"response.variants = {list(names)}: 'all' holds every variant; name nothing beside it")
    one_each = {
        name: response.model_copy(update={"variants": (), "variant": None if name == NOMINAL else name})
        for name in ((NOMINAL, *VARIANTS) if names == (ALL,) else names)
    }
    if names == (ALL,):
        return {name: one for name, one in one_each.items() if name == NOMINAL or in_use(changed(one)) != in_use(one)}
    return one_each


def vary(response: Response) -> Response:
    """The settings with the change that `response.variant` names; a ConfigError if there is none of that name."""
    if response.variant is None:
        return response
    if response.variant not in VARIANTS:
        close = difflib.get_close_matches(response.variant, VARIANTS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(VARIANTS)}"
        raise ConfigError(f"response.variant = {response.variant!r}: no such variant; {hint}")
    varied = changed(response)
    if in_use(varied) == in_use(response):
        raise ConfigError(
            f"response.variant = {response.variant!r}: changes nothing here, as what it scales is 0, already so, "
            "or not used by this kind of response; choose another one, or give the setting a value"
        )
    return varied


def changed(response: Response) -> Response:
    """The settings with the change of `response.variant`, which is one of VARIANTS, whether it matters here or not."""
    fields = response.model_dump()
    for path, change in VARIANTS[response.variant].items():
        part, _, name = path.rpartition(".")
        target = fields[part] if part else fields
        target[name] = scaled(target[name], change.by) if isinstance(change, Factor) else change
    return Response(**fields)


def in_use(response: Response) -> dict[str, Any]:
    """The settings that this kind of readout and this model of recombination look at."""
    unused = {"variant"} | (NOT_OF_VOXELS if response.kind == "voxels" else NOT_OF_WIRES)
    if response.recombination == "none":
        unused |= {"recombination_strength", "field_kv_per_cm"}
    return response.model_dump(exclude=unused)


def scaled(value: float | tuple[float, ...], by: float) -> float | tuple[float, ...]:
    return tuple(by * part for part in value) if isinstance(value, tuple) else by * value
