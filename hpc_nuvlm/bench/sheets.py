"""What a benchmark found, as tables; two of them side by side."""

from __future__ import annotations

from hpc_nuvlm.bench.energy import UNAVAILABLE
from hpc_nuvlm.report.tables import UNDEFINED, Sheet

# What tells one row from another
KEY = ("case", "ranks", "batch")
STAGES = ("read", "rasterize", "collate", "copy", "vision", "text", "backward", "optimizer", "communication")


def cost_sheet(record: dict) -> Sheet:
    header = [
        *("case", "asked", "precision", "ranks", "batch", "ms an event", "±", "p50 / p90 / p99 [ms]", "events/s"),
        *("memory [MB]", "GFLOP", "of peak", "J", "device-h / 10⁶", "accuracy"),
    ]
    return Sheet(record["title"], header, [_cost_cells(row) for row in record["rows"]], "Memory is that of a process")


def _cost_cells(row: dict) -> list[str]:
    latency = " / ".join(f"{1e3 * row['latency_s'][name]:.3g}" for name in ("p50", "p90", "p99"))
    memory = row["memory_mb"]["device"] or row["memory_mb"]["process"]
    joules = row["joules_per_event"]
    accuracy = row["accuracy"]
    return [
        row["case"],
        row["asked"],
        row["precision"],
        str(row["ranks"]),
        str(row["batch"]),
        f"{1e3 * row['seconds_per_event']:.3g}",
        f"{row['spread']:.0%}",
        latency,
        f"{row['events_per_second']:.3g}",
        f"{memory:,.0f}",
        f"{row['flops_per_event'] / 1e9:.3g}",
        f"{row['utilization']:.0%}",
        UNAVAILABLE if joules == UNAVAILABLE else f"{joules:.3g}",
        f"{row['device_hours_per_million']:.3g}",
        UNDEFINED if accuracy is None else f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]",
    ]


def stage_sheet(record: dict) -> Sheet:
    """Microseconds of an event by stage."""
    rows = []
    for row in record["rows"]:
        cells = [f"{1e6 * row['stages_s'][name]:,.0f}" if name in row["stages_s"] else UNDEFINED for name in STAGES]
        rows.append([f"{row['case']}, {row['batch']}", *cells])
    return Sheet("Where the time of an event goes [µs]", ["case, batch", *STAGES], rows)


def comparison_sheet(before: dict, after: dict) -> Sheet:
    """Of rows that both have: how much faster, and how much less memory the second takes."""
    earlier = {tuple(row[name] for name in KEY): row for row in before["rows"]}
    rows = []
    for row in after["rows"]:
        old = earlier.get(tuple(row[name] for name in KEY))
        if old is None:
            continue
        faster = old["seconds_per_event"] / row["seconds_per_event"]
        memory = row["memory_mb"]["process"] / old["memory_mb"]["process"]
        noise = (old["spread"] ** 2 + row["spread"] ** 2) ** 0.5
        cells = [
            row["case"],
            str(row["ranks"]),
            str(row["batch"]),
            f"{faster:.2f} ± {faster * noise:.2f}",
            f"{memory:.2f}",
        ]
        rows.append(cells)
    header = ["case", "ranks", "batch", "times as fast", "times the memory"]
    note = f"{before['measured_utc']} and {after['measured_utc']}"
    return Sheet("The second against the first", header, rows, note)
