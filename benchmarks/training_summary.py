"""The summary of a task of `scripts/bench training`: the median and the worst of its seeds, beside the limits."""

from __future__ import annotations

import statistics

from benchmarks.row import Row

MEDIAN_POINTS, WORST_POINTS = 0.5, 1.5
"""Most points of accuracy that the median seed and the worst one may lose."""
LEAST_RATIO = 3.0
"""Least ratio of the server's time without training to the time with it."""
MOST_OUTSIDE = 1e-4
"""Most values outside the ranges on unseen test data, as a share."""
MOST_SECONDS = 600.0
"""Longest fine-tuning, in seconds on two cores."""


def summary_row(title: str, threads: int, rows: list[Row]) -> Row:
    """Return a row with the median times of the seeds, the figures that have limits, and the limits that are missed."""
    ratios = [_number(row.ratio) for row in rows]
    lost = [_number(row.details["ours"]["points_lost"]) for row in rows]
    outside = max(_number(row.details["ours"]["outside_test"]) for row in rows)
    seconds = max(_number(row.details["ours"]["fine_tune_s"]) for row in rows)
    met = {
        f"median lost <= {MEDIAN_POINTS} points": statistics.median(lost) <= MEDIAN_POINTS,
        f"worst lost <= {WORST_POINTS} points": max(lost) <= WORST_POINTS,
        f"every ratio >= {LEAST_RATIO}": min(ratios) >= LEAST_RATIO,
        f"outside <= {MOST_OUTSIDE}": outside <= MOST_OUTSIDE,
        f"fine-tuning <= {MOST_SECONDS:.0f} s": seconds <= MOST_SECONDS,
    }
    facts: dict[str, object] = {
        "points_lost": statistics.median(lost),
        "points_lost_worst": max(lost),
        "outside_test": outside,
        "fine_tune_s": seconds,
        "missed": "; ".join(limit for limit, kept in met.items() if not kept) or "no limit",
    }
    first = rows[0]
    return Row(
        f"{title}, median of {len(rows)} seeds",
        first.peer,
        first.peer_version,
        threads,
        statistics.median(_number(row.theirs_ms) for row in rows),
        statistics.median(_number(row.ours_ms) for row in rows),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        sum(row.repetitions for row in rows),
        details={"ours": facts},
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
