"""The table of `stdet bench`."""

from __future__ import annotations

from stdet.inference.bench.measure import Bench
from stdet.inference.bench.stopwatch import Cost
from stdet.report.tables import Table

_HEADER = ("median ms", "95 %", "99 %", "CPU ms", "to first", "ceiling")


def bench_table(found: Bench) -> Table:
    """Return a row per stage: shared ones, then the parts of every contender."""
    rows = [(stage, *_cells(cost), "", "") for stage, cost in found.shared.items()]
    first = found.contenders[0]
    for one in found.contenders:
        name = f"{one.name}, {one.num_threads} thread{'s'[: one.num_threads - 1]}"
        for stage, cost in one.stages.items():
            ratio = share = ""
            if stage == "network":
                ratio = f"{cost.cpu_ms / first.stages[stage].cpu_ms:.2f}"
                share = f"{one.share_of_ceiling:.1%}"
            rows.append((f"{name}: {stage}", *_cells(cost), ratio, share))
        ratio = f"{one.end_to_end.cpu_ms / first.end_to_end.cpu_ms:.2f}"
        rows.append((f"{name}: end to end", *_cells(one.end_to_end), ratio, ""))
    height, width = found.size_hw
    ceilings = ", ".join(
        f"{one.gflop_per_cpu_second:.0f} GFLOP/s in {one.precision} on {one.num_threads}"
        for one in found.ceilings
    )
    arithmetic = dict.fromkeys(f"{one.gflop:.2f}" for one in found.contenders)
    return Table(
        header=("", *_HEADER),
        rows=tuple(rows),
        notes=(
            f"{found.weights} on {found.num_frames} frames of {width}x{height} of {found.source}, "
            f"all in turns, load {found.load:g}. Wall time, and median CPU time of all threads, "
            "per frame; ratios are of CPU time.",
            f"Arithmetic of the network: {' or '.join(arithmetic)} GFLOP per frame. Ceiling, a "
            f"product of two large matrices, per second of CPU time: {ceilings} threads.",
        ),
        columns_per_block=len(_HEADER),
    )


def _cells(cost: Cost) -> tuple[str, ...]:
    values = (cost.median_ms, cost.percentile_95_ms, cost.percentile_99_ms, cost.cpu_ms)
    return tuple(f"{value:.2f}" for value in values)
