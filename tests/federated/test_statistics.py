"""Figures over several parties equal those that numpy, scipy and textbooks have of all records together."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hetorch.errors import InputError, RoundVoidError
from hetorch.federated import Aggregator, Identity, Party
from hetorch.federated.statistics import Correlation, Histogram, Moments, Query, Survival
from hetorch.federated.statistics.question import Question
from hetorch.wire.rounds import dump_bundle
from tests.federated.rounds import Round

IDENTITIES = [Identity.generate() for _ in range(4)]
Records = dict[str, Any]


def ask(query: Query, parts: Sequence[Records]) -> dict[str, Any]:
    """Run a round of one party for each part; all parties must get the same answers."""
    identities = IDENTITIES[: len(parts)]
    roster = query.roster([identity.public for identity in identities], threshold=len(parts) // 2 + 1)
    updates = [query.update(part) for part in parts]
    results = Round(roster, identities, updates, [1] * len(parts)).run()
    assert len(results) == len(parts)
    answers = [query.answers(roster, result) for result in results.values()]
    assert all(repr(answer) == repr(answers[0]) for answer in answers)
    return answers[0]


def parts_of(table: Records, seed: int = 0, count: int = 4) -> list[Records]:
    """Split records among parties at random; the last one has none."""
    places = np.random.default_rng(seed).integers(0, count - 1, len(next(iter(table.values()))))
    return [
        {name: np.asarray(column)[places == party] for name, column in table.items()}
        for party in range(count)
    ]


def hospital_table(count: int = 500) -> Records:
    rng = np.random.default_rng(7)
    age = rng.uniform(20, 90, count)
    pressure = 100 + 0.6 * age + rng.normal(0, 12, count)
    return {"age": age, "pressure": pressure, "sex": rng.integers(0, 2, count).astype(float)}


RANGES = {"age": (18.0, 100.0), "pressure": (60.0, 240.0), "sex": (0.0, 1.0)}


def test_moments_are_those_of_numpy() -> None:
    table = hospital_table()
    table["age"][:20] = np.nan
    query = Query(
        "registry",
        {"age": Moments("age"), "of women": Moments("pressure", where=("sex", 1))},
        RANGES,
        most_records=1000,
    )
    answers = ask(query, parts_of(table))
    women = table["pressure"][table["sex"] == 1]
    for answer, values in ((answers["age"], table["age"][20:]), (answers["of women"], women)):
        assert answer.count == len(values)
        assert abs(answer.mean - values.mean()) <= answer.mean_error + 1e-12 * values.mean()
        assert abs(answer.variance - values.var(ddof=1)) <= answer.variance_error + 1e-9
        assert answer.mean_error < 1e-6 and answer.variance_error < 1e-3
        assert answer.sum == pytest.approx(values.sum(), rel=1e-8)
        assert answer.deviation == pytest.approx(values.std(ddof=1), rel=1e-6)


def test_values_are_cut_to_their_range() -> None:
    parts = [{"age": [5.0, 50.0]}, {"age": [150.0]}, {"age": [60.0, 70.0]}]
    answer = ask(Query("cut", {"age": Moments("age")}, RANGES), parts)["age"]
    assert answer.mean == pytest.approx(np.mean([18, 50, 100, 60, 70]), abs=1e-3)
    assert abs(answer.mean - np.mean([18, 50, 100, 60, 70])) <= answer.mean_error


def test_a_histogram_is_that_of_numpy() -> None:
    table = hospital_table()
    edges = (30, 40.5, 50, 60, 80)
    table["age"][:3] = (30, 50, 80)  # on edges
    answer = ask(Query("bins", {"age": Histogram("age", edges)}), parts_of(table))["age"]
    expected, _ = np.histogram(table["age"], edges)
    assert answer.counts.tolist() == expected.tolist()
    assert answer.below == (table["age"] < 30).sum() and answer.above == (table["age"] > 80).sum()
    assert answer.edges.tolist() == list(edges)


def test_small_groups_get_no_figures() -> None:
    """A bin with one record tells which party's patient is in it, to whoever knows that patient."""
    parts = [{"age": [25.0, 44, 45, 46]}, {"age": [47.0, 48]}, {"age": [49.0]}]
    questions: dict[str, Question] = {
        "bins": Histogram("age", (20, 30, 40, 50)),
        "old": Moments("age", where=("age", 25)),
        "none": Moments("age", where=("age", 26)),
        "both": Correlation(("age", "age2"), where=("age", 25)),
        "all": Moments("age"),
    }
    parts = [{**part, "age2": part["age"]} for part in parts]
    query = Query("small", questions, {"age": (0, 100), "age2": (0, 100)}, least_count=3)
    answers = ask(query, parts)
    assert math.isnan(answers["bins"].counts[0]) and answers["bins"].counts[1:].tolist() == [0, 6]
    assert math.isnan(answers["old"].count) and math.isnan(answers["old"].mean)
    assert answers["none"].count == 0 and math.isnan(answers["none"].mean)
    assert math.isnan(answers["both"].count) and np.isnan(answers["both"].means).all()
    assert answers["all"].count == 7
    assert ask(replace(query, least_count=0), parts)["bins"].counts.tolist() == [1, 0, 6]


def test_correlations_are_those_of_numpy() -> None:
    table = hospital_table()
    table["same"] = np.full(500, 3.0)
    columns = ("age", "pressure", "sex", "same")
    query = Query("links", {"links": Correlation(columns)}, {**RANGES, "same": (0, 10)}, most_records=1000)
    answer = ask(query, parts_of(table))["links"]
    rows = np.array([table[name] for name in columns])
    assert answer.count == 500 and answer.columns == columns
    assert np.allclose(answer.means, rows.mean(axis=1), rtol=1e-7)
    assert np.allclose(answer.covariance, np.cov(rows), atol=1e-3)
    assert np.abs(answer.correlation[:3, :3] - np.corrcoef(rows[:3])).max() < 1e-6
    assert np.isnan(answer.correlation[3]).all()


# Survival

SIX_MP = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
"""Weeks of remission under 6-mercaptopurine, relapsed and censored (Freireich and others, Blood 21, 1963)."""
CURVE = {
    6: (0.857, 0.0764),
    7: (0.807, 0.0869),
    10: (0.753, 0.0963),
    13: (0.690, 0.1068),
    16: (0.627, 0.1141),
    22: (0.538, 0.1282),
    23: (0.448, 0.1346),
}
"""The curve of these and its standard errors (Klein and Moeschberger, Survival Analysis, 2003, chapter 4; the same in
the output of R's survfit)."""


def records_of(events: Sequence[float], censored: Sequence[float]) -> Records:
    return {
        "weeks": np.array([*events, *censored], dtype=float),
        "relapse": np.array([1] * len(events) + [0] * len(censored), dtype=float),
    }


def curve_of(records: Records, times: Sequence[float], **options: Any) -> Any:
    query = Query("curve", {"curve": Survival("weeks", "relapse", tuple(times))}, **options)
    return ask(query, parts_of(records))["curve"]


def test_the_curve_of_a_textbook() -> None:
    answer = curve_of(records_of(*SIX_MP), range(1, 36), least_count=0)
    for time, (survival, error) in CURVE.items():
        assert answer.survival[time - 1] == pytest.approx(survival, abs=6e-4)
        assert answer.standard_error[time - 1] == pytest.approx(error, abs=6e-5)
    assert answer.at_risk[5] == 21 and answer.at_risk[22] == 6 and answer.at_risk[34] == 1
    assert answer.events.sum() == 9 and answer.censored.sum() == 12


def test_the_curve_of_an_article() -> None:
    """Bewick, Cheek and Ball, Critical Care 8:389, 2004, table 2: 8 patients, the last one dies."""
    answer = curve_of(records_of([1, 1, 4, 5, 9, 22], [6, 9]), [1, 4, 5, 6, 9, 22], least_count=0)
    assert answer.at_risk.tolist() == [8, 6, 5, 4, 3, 1]
    assert answer.survival == pytest.approx([0.75, 0.625, 0.5, 0.5, 1 / 3, 0])


def test_a_curve_is_cut_where_few_are_left() -> None:
    answer = curve_of(records_of(*SIX_MP), range(1, 36), least_count=6)
    assert np.isfinite(answer.survival[:23]).all() and np.isnan(answer.survival[23:]).all()
    assert np.isnan(answer.at_risk[23:]).all()


@pytest.mark.parametrize("grid", [np.arange(0.5, 40, 0.5), np.array([3.0, 7.5, 20.0])])
def test_times_between_those_of_the_grid_count_as_the_later_one(grid: Any) -> None:
    rng = np.random.default_rng(3)
    time, event = rng.exponential(12, 200), rng.integers(0, 2, 200)
    answer = curve_of({"weeks": time, "relapse": event}, grid, least_count=0)
    later = np.array([grid[grid >= t].min() if (grid >= t).any() else np.inf for t in time])
    inside = np.isfinite(later)
    right = np.where(inside, later, 1e6)[(event == 0) | ~inside]
    oracle = stats.ecdf(stats.CensoredData(later[(event == 1) & inside], right=right)).sf
    assert answer.survival == pytest.approx(oracle.evaluate(grid), abs=1e-12)


# What the parties agree on


def test_parties_with_different_queries_have_no_round() -> None:
    one = Query("q", {"age": Moments("age")}, {"age": (0, 100)})
    others = [
        replace(one, ranges={"age": (0, 101)}),
        replace(one, least_count=4),
        replace(one, noise=1.0),
        replace(one, questions={"age": Moments("age", where=("sex", 1))}),
        replace(one, questions={"age": Histogram("age", (1, 2, 3))}),  # as many sums
    ]
    assert len({query.digest for query in (one, *others)}) == 6
    public = [identity.public for identity in IDENTITIES[:3]]
    same = Query("q", {"age": Moments("age")}, {"age": (0.0, 100.0)}, noise=0)
    assert same.roster(public, 2).digest == one.roster(public, 2).digest
    two = {"a": Moments("age"), "b": Histogram("age", [1, 2])}
    orders = (two, dict(reversed(two.items())))  # they are in no order
    assert len({replace(one, questions=order).roster(public, 2).digest for order in orders}) == 1
    roster, other = one.roster(public, 2), others[4].roster(public, 2)
    states = [
        Party(r, identity).begin(1)
        for r, identity in zip((roster, roster, other), IDENTITIES[:3], strict=True)
    ]
    aggregator = Aggregator.begin(roster, 1)
    aggregator = aggregator.receive(states[0][1]).receive(states[1][1])
    with pytest.raises(ValueError, match="another roster"):
        aggregator.receive(states[2][1])
    keys = dump_bundle(roster.digest, states[0][1][40:72], [message for _, message in states])
    with pytest.raises(RoundVoidError, match="another roster"):
        states[2][0].receive(keys)


def test_a_roster_of_another_query_gives_no_answer() -> None:
    query = Query("q", {"age": Moments("age")}, {"age": (0, 100)})
    other = replace(query, ranges={"age": (0, 50)})
    public = [identity.public for identity in IDENTITIES[:3]]
    with pytest.raises(InputError, match="not of this query"):
        query.answers(other.roster(public, 2), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [3, 4, 10, 100, 700])
def test_whole_numbers_are_exact(count: int) -> None:
    query = Query("q", {"age": Histogram("age", (0, 1))}, most_records=50_000)
    roster = query.roster([bytes([i % 256, i // 256]) + bytes(30) for i in range(count)], count // 2 + 1)
    (array,) = roster.arrays
    mantissa, _ = math.frexp(roster.step(array))
    assert mantissa == 0.5 and roster.step(array) <= 1  # a power of two
    assert query.most_records <= array.bound <= roster.largest_integer


def test_the_description_says_what_is_learnt() -> None:
    questions = {
        "age": Moments("age", where=("sex", 1)),
        "bins": Histogram("age", (0, 50, 100)),
        "links": Correlation(("age", "sex")),
        "curve": Survival("weeks", "relapse", (1, 2)),
    }
    text = Query("registry", questions, RANGES, noise=2.0).description
    for part in ("variance of 'age', where 'sex' is 1", "2 bins", "'age', 'sex'", "2 times", "deviation 2 "):
        assert part in text


@pytest.mark.parametrize(
    ("questions", "ranges", "pattern"),
    [
        ({}, {}, "at least one"),
        ({"a": Moments("age")}, {}, "needs a range"),
        ({"a": Moments("age")}, {"age": (5, 5)}, "must ascend"),
        ({"a": Moments("age")}, {"age": (0, math.inf)}, "must ascend"),
        ({"a": Moments("age", where=("sex", math.nan))}, {"age": (0, 5)}, "finite"),
        ({"a": Moments("age", where=("sex", "f"))}, {"age": (0, 5)}, "categories as numbers"),  # type: ignore[arg-type]
        ({"a": Histogram("age", (1.0,))}, {}, "two or more edges"),
        ({"a": Histogram("age", (2, 1))}, {}, "two or more edges"),
        ({"a": Correlation(("age",))}, {"age": (0, 5)}, "two or more different"),
        ({"a": Correlation(("age", "sex"))}, {"age": (0, 5)}, "'sex' needs a range"),
        ({"a": Survival("t", "e", ())}, {}, "ascend from above 0"),
        ({"a": Survival("t", "e", (0, 1))}, {}, "ascend from above 0"),
    ],
)
def test_queries_that_ask_for_nothing_are_refused(questions: Any, ranges: Any, pattern: str) -> None:
    with pytest.raises(InputError, match=pattern):
        Query("q", questions, ranges)


@pytest.mark.parametrize(
    ("records", "pattern"),
    [
        ({"weeks": [1.0]}, "no column 'relapse'"),
        ({"weeks": [1.0, 2.0], "relapse": [1]}, "different lengths"),
        ({"weeks": ["x"], "relapse": [1]}, "not of numbers"),
        ({"weeks": np.array(["2026-01-01"], "datetime64[D]"), "relapse": [1]}, "dates"),
        (np.zeros((1, 2)), "not of numbers"),
        ({"weeks": [math.inf], "relapse": [1]}, "finite"),
        ({"weeks": [[1.0]], "relapse": [1]}, "one dimension"),
        ({"weeks": [1.0], "relapse": [2]}, "0 or 1"),
        ({"weeks": [-1.0], "relapse": [1]}, "negative"),
        ({"weeks": [1.0] * 4, "relapse": [1] * 4}, "at most 3"),
    ],
)
def test_records_that_do_not_fit_are_refused(records: Any, pattern: str) -> None:
    query = Query("q", {"curve": Survival("weeks", "relapse", (1, 2))}, most_records=3)
    with pytest.raises(InputError, match=pattern):
        query.update(records)


@pytest.mark.parametrize("noise", [-3.0, np.inf, np.nan])
def test_noise_that_is_no_deviation_is_refused(noise: float) -> None:
    with pytest.raises(InputError, match=r"noise is a standard deviation in records"):
        Query("q", {"age": Moments("age")}, {"age": (0, 100)}, noise=noise)


def test_too_many_records_for_so_many_parties_are_refused() -> None:
    query = Query("q", {"age": Histogram("age", (0, 1))}, most_records=2 * 10**7)
    with pytest.raises(InputError, match="100 parties"):
        query.roster([bytes([i]) * 32 for i in range(100)], 51)


# Noise


def test_noise_has_its_deviation_and_its_guarantee() -> None:
    edges = tuple(range(2001))
    query = Query("noisy", {"bins": Histogram("age", edges)}, noise=3.0, most_records=1000, least_count=0)
    answer = ask(query, [{"age": [0.5] * 10}] * 3)["bins"]
    # Three parties' noise; the deviation of an estimate from m numbers is about sigma / sqrt(2 m).
    empty = answer.counts[1:]
    sigma = 3 * math.sqrt(3)
    assert abs(empty.std() - sigma) < 5 * sigma / math.sqrt(2 * len(empty))
    assert abs(empty.mean()) < 5 * sigma / math.sqrt(len(empty))
    assert query.zcdp == pytest.approx(1 / 18)


@pytest.mark.parametrize(
    "question",
    [
        Moments("age"),
        Histogram("age", (0, 50, 100)),
        Correlation(("age", "sex")),
        Survival("age", "sex", (30, 60)),
    ],
)
def test_one_record_changes_the_sums_by_the_sensitivity_at_most(question: Question) -> None:
    query = Query("q", {"a": question}, RANGES)
    table = {"age": np.array([18.0, 100.0, 59.0, 5.0, 300.0]), "sex": np.array([1.0, 1.0, 0.0, 1.0, 0.0])}
    before = query.update({name: column[:0] for name, column in table.items()})["a"]
    changes = []
    for place in range(5):
        one = {name: column[place : place + 1] for name, column in table.items()}
        changes.append(np.linalg.norm(query.update(one)["a"] - before))
    assert max(changes) <= query.sensitivity + 1e-12
    if isinstance(question, Moments | Correlation):
        assert max(changes) == pytest.approx(query.sensitivity)  # at the ends of the ranges


def test_statistics_load_no_code_that_knows_secrets() -> None:
    program = (
        "from hetorch.serving.isolation import isolate, loaded_secret_modules\n"
        "isolate()\n"
        "from hetorch.federated import statistics\n"
        "print(loaded_secret_modules(), statistics.Query.__name__)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[] Query\n"
