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
"""Longest fine-tuning and compilation, in seconds on two cores."""


def summary_row(title: str, threads: int, rows: list[Row]) -> Row:
    """Return a row with the median times of the seeds, the figures that have limits, and the limits that are missed."""
    ratios, ours = [_number(row.ratio) for row in rows], [row.details["ours"] for row in rows]
    lost = [_number(facts["points_lost"]) for facts in ours]
    outside = [_number(facts["outside_test"]) for facts in ours]
    seconds = [_number(facts["fine_tune_s"]) + _number(facts["compile_s"]) for facts in ours]
    errors = [(_number(facts["error_against_torch"]), _number(facts["error_bound"])) for facts in ours]
    met = {
        f"median lost <= {MEDIAN_POINTS} points": statistics.median(lost) <= MEDIAN_POINTS,
        f"worst lost <= {WORST_POINTS} points": all(points <= WORST_POINTS for points in lost),
        f"every ratio >= {LEAST_RATIO}": all(ratio >= LEAST_RATIO for ratio in ratios),
        f"outside <= {MOST_OUTSIDE}": all(share <= MOST_OUTSIDE for share in outside),
        f"fine-tuning and compilation <= {MOST_SECONDS:.0f} s": all(each <= MOST_SECONDS for each in seconds),
        "every error <= its bound": all(error <= bound for error, bound in errors),
    }
    figures: dict[str, object] = {
        "points_lost": statistics.median(lost),
        "points_lost_worst": max(lost),
        "outside_test": max(outside),
        "seconds": max(seconds),
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
        details={"ours": figures},
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
