"""Truth and identity of an event as JSON: what zarr shards and tar archives write beside the hits."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from hpc_nuvlm.event import Event, Hits, Identity, Truth

NUMBERS = ("nu_energy_gev", "lepton_energy_gev")
# Datasets packed by earlier versions have no such keys, so their values are unknown
LATER_NUMBERS = ("q2_gev2", "w_gev", "inelasticity", "available_energy_gev")


def record_of(event: Event) -> dict:
    """Truth and identity as plain values; what is unknown is None."""
    truth = {name: _null(value) for name, value in asdict(event.truth).items()}
    return {"identity": asdict(event.identity), "truth": truth}


def write_record(event: Event) -> bytes:
    return json.dumps(record_of(event), allow_nan=False).encode()


def read_record(text: bytes, hits: Hits) -> Event:
    """The event of `hits` and text that write_record made; any other is a ValueError."""
    try:
        record = json.loads(text)
        truth = dict(record["truth"])
        truth |= {name: _nan(truth[name]) for name in NUMBERS}
        truth |= {name: _nan(truth.get(name)) for name in LATER_NUMBERS}
        facts = truth.get("facts", {})
        # Most events have none that is unknown, and this is a fifth of the time of a record
        truth["facts"] = {name: _known(value) for name, value in facts.items()} if None in facts.values() else facts
        truth["vertex_mm"] = tuple(map(_nan, truth["vertex_mm"]))
        if truth["particles"] is not None:
            truth["particles"] = tuple((int(pdg), _nan(energy_gev)) for pdg, energy_gev in truth["particles"])
        return Event(hits, Truth(**truth), Identity(**record["identity"]))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"truth record is damaged: {error!r}") from error


def read_key(text: bytes) -> str:
    return Identity(**json.loads(text)["identity"]).key


def _null(value):
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _null(item) for name, item in value.items()}
    return [_null(item) for item in value] if isinstance(value, tuple | list) else value


def _known(value):
    """A fact as it was: null was NaN, all else is kept with its type."""
    return math.nan if value is None else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
