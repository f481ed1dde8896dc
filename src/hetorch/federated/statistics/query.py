"""A query: the questions that all parties of a round agree on, and what each of them sends."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hetorch.errors import InputError
from hetorch.federated.ring import largest_integer
from hetorch.federated.roster import NOISE_HEADROOM, ArrayBounds, Roster
from hetorch.federated.statistics.question import FloatArray, Question, Ranges, Sums, Values

if TYPE_CHECKING:
    from hetorch.federated.party.update import RoundResult

MOST_RECORDS = 1_000_000
"""The default of `most_records`. Each doubling costs a bit of the sums, where the fixed point has none to spare."""


@dataclass(frozen=True)
class Query:
    """Questions about the records of all parties, in one round.

    A record is a row of columns of numbers. One that lacks a value (NaN) is left out of the questions that need it.

    Args:
        name: what the query is for; a part of the session of its roster.
        questions: Moments, Histogram, Correlation or Survival, by the names of their answers.
        ranges: the smallest and the largest value of each column with moments or correlations, known without the
            records; values beyond are cut to them.
        most_records: the most records of one party; with more it cannot take part. Sums are rounded to a step of about
            most_records / 2^32 records with 4 parties, / 2^23 with 100.
        least_count: groups of fewer records get no figures in the answer. The parties' own machines have opened their
            sums, though: this is for what is published.
        noise: standard deviation, in records, of the Gaussian noise that each party adds to each sum. See `zcdp`.

    Raises:
        InputError: a question or a number is out of range.
    """

    name: str
    questions: Mapping[str, Question]
    ranges: Ranges = field(default_factory=dict)
    most_records: int = MOST_RECORDS
    least_count: int = 5
    noise: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "questions", dict(self.questions))
        ranges = {name: (float(low), float(high)) for name, (low, high) in self.ranges.items()}
        object.__setattr__(self, "ranges", ranges)
        if not self.questions:
            raise InputError("a query has at least one question")
        for name, (low, high) in ranges.items():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise InputError(f"the range of {name!r} must ascend, got {low:g} to {high:g}")
        if self.most_records < 1 or self.least_count < 0:
            raise InputError("most_records must be 1 or more, and least_count 0 or more")
        if not 0 <= self.noise < math.inf:
            raise InputError(f"noise is a standard deviation in records, 0 or more, got {self.noise:g}")
        for question in self.questions.values():
            question.check(ranges)
            if question.where is not None and not _is_finite(question.where[1]):
                raise InputError(
                    f"`where` needs a column and a finite number, got {question.where}; give categories as numbers"
                )

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that identify the query: SHA-256 of its values as ASCII JSON with sorted keys and no spaces."""
        data = {
            "name": self.name,
            "questions": {name: question.facts() for name, question in self.questions.items()},
            "ranges": self.ranges,
            "most_records": int(self.most_records),
            "least_count": int(self.least_count),
            "noise": float(self.noise),
        }
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(b"hetorch statistics 1" + text.encode("ascii")).digest()

    @property
    def sensitivity(self) -> float:
        """The most that one record more or less changes all sums of all questions, as a Euclidean norm, in records."""
        return math.sqrt(sum(question.touched for question in self.questions.values()))

    @property
    def zcdp(self) -> float:
        """The rho of zero-concentrated differential privacy that one round gives each record, even against all other
        parties together: sensitivity^2 / (2 noise^2) (Bun and Steinke 2016, proposition 1.6). Rounds add up."""
        return math.inf if not self.noise else self.sensitivity**2 / (2 * self.noise**2)

    @property
    def description(self) -> str:
        """What the parties send and learn, in words, for the people who decide."""
        lines = [f"{self.name}: all parties learn, over the records of all together:"]
        for name, question in self.questions.items():
            only = "" if question.where is None else f", where {question.where[0]!r} is {question.where[1]:g}"
            lines.append(f"- {name}: {question.description}{only}")
        noise = (
            f"with noise of deviation {self.noise:g} from each party (rho = {self.zcdp:.3g})"
            if self.noise
            else "exact, without noise"
        )
        lines.append(f"The sums are {noise}; figures of fewer than {self.least_count} records are not shown.")
        return "\n".join(lines)

    def roster(
        self, identities: Sequence[bytes], threshold: int, *, fewest_contributors: int | None = None
    ) -> Roster:
        """Return the roster of the round, which all parties and the aggregator make alike, and compare by its digest.

        Args:
            identities: as in Roster.
            threshold: as in Roster.
            fewest_contributors: by default all. With fewer the answer may lack parties, and must not be asked for
                again: the difference of two answers is what one of them has.

        Raises:
            InputError: as in Roster; or so many parties cannot send sums of so many records.
        """
        count = len(identities)
        largest = largest_integer(count)
        room = self.most_records + NOISE_HEADROOM * self.noise
        if room > largest:
            raise InputError(
                f"with {count} parties each can send sums of at most {largest} records, got most_records = "
                f"{self.most_records}"
            )
        step = 2.0 ** math.ceil(math.log2(room / largest))  # at most 1, so that numbers of records are exact
        bound = largest * step - NOISE_HEADROOM * self.noise
        return Roster(
            session=f"{self.name}\nstatistics {self.digest.hex()}",
            identities=tuple(identities),
            threshold=threshold,
            arrays=tuple(ArrayBounds(name, (q.size,), bound) for name, q in sorted(self.questions.items())),
            most_samples=1,
            fewest_contributors=count if fewest_contributors is None else fewest_contributors,
            noise=self.noise,
        )

    def update(self, records: Mapping[str, Any]) -> dict[str, FloatArray]:
        """Return what a party encrypts, with `sample_count=1`: the sums of each question over its records.

        Args:
            records: columns of numbers of one length, by name, such as a dict of arrays or a table of pandas.

        Raises:
            InputError: a column is missing, of another length or of no numbers; or there are too many records.
        """
        wanted = {column for question in self.questions.values() for column in _needed(question)}
        columns = {name: _column(records, name) for name in sorted(wanted)}
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1:
            raise InputError(f"the columns of the records have different lengths: {sorted(lengths)}")
        if max(lengths) > self.most_records:
            raise InputError(
                f"there are {max(lengths)} records, the query has agreed on at most {self.most_records}"
            )
        return {
            name: question.sums(_selected(question, columns), self.ranges)
            for name, question in self.questions.items()
        }

    def answers(self, roster: Roster, result: RoundResult) -> dict[str, Any]:
        """Return the answer to each question, by name; InputError if the roster is another query's."""
        if not roster.session.endswith(self.digest.hex()):
            raise InputError("the roster is not of this query; compare the queries of all parties")
        contributors = len(result.contributors)
        arrays = {array.name: array for array in roster.arrays}
        answers = {}
        for name, question in self.questions.items():
            array = arrays[name]
            step = roster.step(array)
            values = result.arrays[name] * result.sample_count  # each contributor has the weight 1
            exact = (
                values if self.noise else np.rint(values / step) * step
            )  # doubles may be off by their last digit
            sums = Sums(exact, contributors * step / 2, self.least_count)
            answers[name] = question.answer(sums, self.ranges)
        return answers


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value)


def _needed(question: Question) -> tuple[str, ...]:
    return question.columns if question.where is None else (*question.columns, question.where[0])


def _column(records: Mapping[str, Any], name: str) -> FloatArray:
    try:
        column = np.asarray(records[name])
        if column.dtype.kind in "mM":  # whose nanoseconds would be cut to the range without a word
            raise TypeError("these are dates or times; give numbers, such as years or days")
        column = np.asarray(records[name], dtype=np.float64)
    except KeyError:
        raise InputError(f"the records have no column {name!r}") from None
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(f"the column {name!r} is not of numbers: {error}") from None
    if column.ndim != 1 or np.isinf(column).any():
        raise InputError(
            f"the column {name!r} must have one dimension and finite numbers, or NaN where one is missing"
        )
    return column


def _selected(question: Question, columns: Values) -> Values:
    """Return the columns of a question, of the records that it is about and that lack none of them."""
    whole = np.all([np.isfinite(columns[name]) for name in question.columns], axis=0)
    if question.where is not None:
        name, value = question.where
        whole &= columns[name] == value
    return {name: columns[name][whole] for name in question.columns}
