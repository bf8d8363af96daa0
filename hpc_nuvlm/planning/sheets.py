"""What a plan says, as tables and as plain fields."""

from __future__ import annotations

import math
from dataclasses import asdict

from hpc_nuvlm.planning.plan import SECONDS_AN_HOUR, Need
from hpc_nuvlm.report.tables import Sheet

MB = 1e6


def plan_sheets(need: Need) -> list[Sheet]:
    parts = [[name, f"{size / MB:,.0f}"] for name, size in need.memory.items()]
    parts.append(["together", f"{need.memory_bytes / MB:,.0f}"])
    limit = f"of {need.memory_limit / MB:,.0f} MB that a rank may have"
    rows = {
        "steps": f"{need.num_steps:,}",
        "micro-batches in a step": f"{need.micro_batches}",
        "steps an hour": f"{SECONDS_AN_HOUR / need.seconds_per_step:,.0f}",
        "of a step, communication": f"{need.communication_s / need.seconds_per_step:.1%}",
        "sent by a rank in a step [MB]": f"{need.communication_bytes / MB:,.1f}",
        "hours": f"{need.hours:.2f}",
        "a checkpoint [MB]": f"{need.checkpoint_bytes / MB:,.0f}",
        "disk [MB]": f"{need.disk_bytes / MB:,.0f}",
    }
    assumed = f"Computing at {need.utilization:.0%} of the device's arithmetic, then communication; no reading"
    return [
        Sheet("Memory of a rank at its worst moment [MB]", ["part", "MB"], parts, limit),
        Sheet("Time and disk", ["", "number"], [[name, value] for name, value in rows.items()], assumed),
    ]


def as_fields(need: Need) -> dict:
    fields = asdict(need) | {"memory_bytes": need.memory_bytes, "hours": need.hours}
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in fields.items()
    }
