"""Methods side by side: what each reached, and its paired differences to the references."""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaux.errors import InputError
from metaux.evidence.statistics import (
    Estimate,
    floor_of_test_interval,
    mean_over_samples,
    mean_over_seeds,
    over_groups,
)
from metaux.labels.sources import REFERENCES, baselines, entry
from metaux.runs.record import Run, training_seconds
from metaux.settings import Settings, to_mapping
from metaux.words import counted, data_name

# The column of differences to each method's own control.
OWN = "own control"


def in_order(methods: Iterable[str]) -> list[str]:
    """Return each method once: the references, other controls, what is to be judged, then labels from outside.

    >>> in_order(["human", "maxl", "uniform", "kmeans", "single", "maxl"])
    ['single', 'uniform', 'maxl', 'kmeans', 'human']
    """
    rank = {"control": 1, "method": 2, "outside": 3}
    known = {name: (0, REFERENCES.index(name)) for name in REFERENCES}
    return sorted(dict.fromkeys(methods), key=lambda name: known.get(name, (rank[entry(name).role], 0)))


@dataclass(frozen=True)
class Difference:
    """How much more accurate one method is than a reference, in fractions.

    Args:
        by_seed: the difference of each seed that both have, ascending by seed.
        seeds: their mean, and its Student t interval.
        test: the same mean, and its bootstrap interval over the test samples, or over groups of them.
        floor: half the width that the interval over test samples keeps however many seeds there are.
        groups: how many groups of related test samples were drawn for it; None if the samples themselves were.
    """

    by_seed: Sequence[float]
    seeds: Estimate
    test: Estimate
    floor: float
    groups: int | None

    @property
    def above(self) -> bool:
        """Whether both intervals are above zero."""
        return self.seeds.above and self.test.above

    @property
    def below(self) -> bool:
        """Whether both intervals are below zero."""
        return self.seeds.below and self.test.below

    @property
    def drawn(self) -> str:
        """What the bootstrap drew, in words."""
        return "test samples" if self.groups is None else f"{counted(self.groups, 'group')} of test samples"


@dataclass(frozen=True)
class Row:
    """What one method reached.

    Args:
        method: its name.
        seeds: those that it ran with, ascending.
        accuracies: the test accuracy with each of them.
        accuracy: their mean and interval.
        balanced_accuracy: the mean over classes likewise.
        differences: to each of its `baselines` that it shares a seed with.
        seconds_per_epoch: mean over its runs.
        cost: seconds of training, preparation and all, in units of those of `single`; None without `single`.
    """

    method: str
    seeds: Sequence[int]
    accuracies: Sequence[float]
    accuracy: Estimate
    balanced_accuracy: Estimate
    differences: Mapping[str, Difference]
    seconds_per_epoch: float
    cost: float | None

    def difference(self, column: str) -> Difference | None:
        """Return the difference to a reference, or in the column `OWN` to the method's own control; None if unknown."""
        return self.differences.get(entry(self.method).control if column == OWN else column)


@dataclass(frozen=True)
class Comparison:
    """Every method of an experiment, with what its numbers hold for.

    Args:
        rows: one per method, as `in_order` orders them.
        data: the data set's name.
        train_size: training samples, those of a meta split among them.
        test_size: test samples.
        measured_on: the part of the data that is called test samples here: `test`, or `validation` in its place.
        epochs: passes over the training data.
        protocol: the training protocol's name.
    """

    rows: Sequence[Row]
    data: str
    train_size: int
    test_size: int
    measured_on: str
    epochs: int
    protocol: str

    @classmethod
    def of(cls, runs: Iterable[Run], vary: Collection[str] = ()) -> "Comparison":
        """Compare runs, paired by seed.

        Args:
            runs: of one task, on one test set.
            vary: settings, besides method and seed, that may differ between them.

        Raises:
            InputError: for no run, one method and seed twice, or runs that differ in anything else.
        """
        runs = list(runs)
        _check_alike(runs, vary)
        by_method = {
            name: sorted((run for run in runs if run.method == name), key=lambda run: run.seed)
            for name in in_order(run.method for run in runs)
        }
        seconds = {name: training_seconds(own) for name, own in by_method.items()}
        rows = [
            Row(
                method=name,
                seeds=tuple(run.seed for run in own),
                accuracies=tuple(run.accuracy for run in own),
                accuracy=mean_over_seeds([run.accuracy for run in own]),
                balanced_accuracy=mean_over_seeds([run.balanced_accuracy for run in own]),
                differences={
                    reference: found
                    for reference in baselines(name)
                    if (found := difference(own, by_method.get(reference, []))) is not None
                },
                seconds_per_epoch=statistics.fmean(run.seconds_per_epoch for run in own),
                cost=seconds[name] / seconds["single"] if seconds.get("single") else None,
            )
            for name, own in by_method.items()
        ]
        return cls(
            rows=rows,
            data=data_name(str(runs[0].settings.get("data", ""))),
            train_size=max(run.train_size for run in runs),
            test_size=len(runs[0].output("test_correct")),
            measured_on=str(runs[0].settings.get("evaluate_on", "test")),
            epochs=len(runs[0].epochs),
            protocol=str(runs[0].settings.get("protocol", "")),
        )

    @property
    def remark(self) -> str:
        """What has to be said where it is not the test part that accuracies are of; else nothing."""
        told = "It is the validation part that is called test here (--evaluate-on validation)."
        return told if self.measured_on == "validation" else ""

    @property
    def drawn(self) -> str:
        """What the bootstrap drew, in words; the same for all differences, since there is one test set."""
        return next((each.drawn for row in self.rows for each in row.differences.values()), "test samples")

    def row(self, method: str) -> Row | None:
        """Return the row of this method, and None if it did not run."""
        return next((row for row in self.rows if row.method == method), None)

    @property
    def columns(self) -> tuple[str, ...]:
        """What any row has a difference to: references, and `OWN`."""
        return tuple(name for name in (*REFERENCES, OWN) if any(row.difference(name) for row in self.rows))

    @property
    def missing(self) -> tuple[str, ...]:
        """The references that did not run."""
        return tuple(name for name in REFERENCES if self.row(name) is None)

    def lacking(self, row: Row) -> tuple[str, ...]:
        """Return what the row has to beat and did not run."""
        return tuple(name for name in baselines(row.method) if self.row(name) is None)

    def absent(self, row: Row) -> tuple[int, ...]:
        """Return the seeds that single task ran with and the row did not: what alone came through can't be judged."""
        single = self.row("single")
        return tuple(seed for seed in (single.seeds if single else ()) if seed not in row.seeds)

    def gain(self, row: Row) -> bool:
        """Return whether the row is above all of its `baselines`, over seeds and over test samples.

        Single, uniform and frozen, and what controls it has of its own; where one did not run there is no gain, nor
        where the row lacks a seed that single task has.
        """
        above = all(name in row.differences and row.differences[name].above for name in baselines(row.method))
        return above and not self.absent(row)


def difference(own: Sequence[Run], others: Sequence[Run]) -> Difference | None:
    """Return how much more accurate one method's runs are than another's, paired by seed; None if they share none."""
    import numpy as np

    partner = {run.seed: run for run in others}
    pairs = [(run, partner[run.seed]) for run in own if run.seed in partner]
    if not pairs:
        return None
    by_seed = [run.accuracy - other.accuracy for run, other in pairs]
    by_sample = np.stack([np.subtract(*(r.output("test_correct").astype(np.float64) for r in pair)) for pair in pairs])
    groups = own[0].test_groups
    by_sample = over_groups(by_sample, groups)
    return Difference(
        by_seed=tuple(by_seed),
        seeds=mean_over_seeds(by_seed),
        test=mean_over_samples(by_sample.mean(axis=0)),
        floor=floor_of_test_interval(by_sample),
        groups=None if groups is None else by_sample.shape[1],
    )


def _check_alike(runs: Sequence[Run], vary: Collection[str]) -> None:
    import numpy as np

    if not runs:
        raise InputError("expected finished runs to compare, found none; train some first")
    first = runs[0]
    primary = first.output("test_primary")
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        if other := seen.get((run.method, run.seed)):
            raise InputError(
                f"expected one run of {run.method} with seed {run.seed}, found {other.folder} "
                f"and {run.folder}; compare the runs of one output folder"
            )
        seen[run.method, run.seed] = run
        if differs := _differing(first.settings, run.settings, vary):
            raise InputError(
                f"expected runs that differ in method and seed only, found {differs} of {first.folder} and "
                f"{run.folder}; compare the runs of one output folder"
            )
        if len(run.epochs) != len(first.epochs) or not np.array_equal(primary, run.output("test_primary")):
            raise InputError(
                f"expected runs of equal length on one test set, found {first.folder} "
                f"({len(first.epochs)} epochs, {len(primary)} test samples) and {run.folder} "
                f"({len(run.epochs)} epochs, {len(run.output('test_primary'))} test samples), or other "
                "labels; compare the runs of one output folder"
            )


def _differing(first: Mapping[str, Any], other: Mapping[str, Any], vary: Collection[str]) -> str:
    """Return the first setting that differs, with both values, and nothing if none does.

    A run of an earlier version has the defaults of settings that came later.
    """
    first, other = ({**to_mapping(Settings()), **settings} for settings in (first, other))
    for key in {**first, **other}:
        if key not in ("method", "seed", *vary) and first.get(key) != other.get(key):
            return f"'{key}' {first.get(key)} and {other.get(key)}"
    return ""
