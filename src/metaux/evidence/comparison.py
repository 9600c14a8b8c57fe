"""Rows side by side: what each reached on the test samples, and its paired differences to its baselines."""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metaux.evidence.alike import check_alike
from metaux.evidence.contender import Contender, Result
from metaux.evidence.folds import Whole, folds_of, groups_of, of_samples, side_by_side
from metaux.evidence.statistics import (
    Estimate,
    floor_of_test_interval,
    mean_over_samples,
    mean_over_seeds,
    over_groups,
    share_of_samples,
)
from metaux.labels.sources import CLASSICAL, REFERENCES, Role, entry
from metaux.runs.record import Run
from metaux.words import counted, data_name, listed

# The column of differences to each row's own control.
OWN = "own control"


@dataclass(frozen=True)
class Difference:
    """How much more accurate one method is than a reference, in fractions.

    Args:
        by_seed: the difference of each seed that both have, ascending by seed.
        seeds: their mean, and its Student t interval.
        test: the same mean, and its bootstrap interval over the test samples, or over groups of them.
        floor: half the width that the interval over test samples keeps however many seeds there are.
        groups: how many groups of related test samples were drawn for it; None if the samples themselves were.
        overlap: in cross-validation, test samples per training sample, as of `mean_over_seeds`.
    """

    by_seed: Sequence[float]
    seeds: Estimate
    test: Estimate
    floor: float
    groups: int | None
    overlap: float = 0.0

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
    """What one row of the table reached.

    Args:
        name: what the table calls it.
        role: as `Contender.role`.
        baselines: the rows that a gain has to beat.
        seeds: those that it ran with, ascending.
        accuracies: the test accuracy with each of them.
        accuracy: their mean and interval.
        balanced_accuracy: the mean over classes likewise.
        on_new: what to expect of one such network on new samples: the mean, and its interval over test samples.
        differences: to each of its baselines that it shares a seed with.
        absent: the seeds that single task ran with and the row did not: what alone came through can't be judged.
        seconds_per_epoch: mean over its runs.
        cost: seconds of training, preparation and all, in units of those of `single`; None without `single`.
    """

    name: str
    role: Role
    baselines: tuple[str, ...]
    seeds: Sequence[int]
    accuracies: Sequence[float]
    accuracy: Estimate
    balanced_accuracy: Estimate
    on_new: Estimate
    differences: Mapping[str, Difference]
    absent: tuple[int, ...]
    seconds_per_epoch: float
    cost: float | None

    @property
    def controls(self) -> tuple[str, ...]:
        """Its own controls: the baselines that not every row has."""
        return tuple(name for name in self.baselines if name not in REFERENCES)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The baselines that did not run with any of its seeds."""
        return tuple(name for name in self.baselines if name not in self.differences)

    @property
    def gain(self) -> bool:
        """Whether it is above all of its baselines, over seeds and over test samples.

        Where one did not run there is no gain, nor where the row lacks a seed that single task has, nor for a row that
        is not compared with all of `REFERENCES`: longer training, ensembles, classical models.
        """
        if self.lacking or self.absent or not {self.name, *self.baselines}.issuperset(REFERENCES):
            return False
        return all(self.differences[name].above for name in self.baselines)

    @property
    def judged(self) -> bool:
        """Whether there is an interval for each difference to a baseline, and no seed is absent."""
        found = [interval for own in self.differences.values() for interval in (own.seeds, own.test)]
        return not (self.lacking or self.absent) and all(each.low is not None for each in found)

    def difference(self, column: str) -> Difference | None:
        """Return the difference to a baseline, or in the column `OWN` to the closest own control; None if unknown."""
        if column != OWN:
            return self.differences.get(column)
        own = [self.differences[name] for name in self.controls if name in self.differences]
        return min(own, key=lambda difference: difference.seeds.mean, default=None)


@dataclass(frozen=True)
class Comparison:
    """Every row of an experiment, with what its numbers hold for.

    Args:
        rows: in the order of the table.
        data: the data set's name.
        train_size: training samples, those of a meta split among them.
        test_size: test samples.
        measured_on: the part of the data that is called test samples here: `test`, or `validation` in its place.
        epochs: passes over the training data.
        protocol: the training protocol's name.
        kind: of the data: image, table, text or other.
        folds: the parts of cross-validation; None without it.
    """

    rows: Sequence[Row]
    data: str
    train_size: int
    test_size: int
    measured_on: str
    epochs: int
    protocol: str
    kind: str = "other"
    folds: int | None = None

    @classmethod
    def of(cls, contenders: Sequence[Contender], runs: Sequence[Run]) -> "Comparison":
        """Compare rows, paired by seed; those without a result are left out.

        Args:
            contenders: in the order of the table; costs are in units of the one called `single`.
            runs: those of them that say what the numbers hold for; the first one tells data, protocol and length.
        """
        first, groups = runs[0], groups_of(runs)
        by_seed = {each.name: sorted(each.results, key=lambda result: result.seed) for each in contenders}
        by_name = {name: {own.seed: own for own in results} for name, results in by_seed.items() if results}
        return cls(
            rows=[_row(each, by_name, groups) for each in contenders if each.name in by_name],
            data=data_name(str(first.settings.get("data", ""))),
            train_size=max(run.train_size for run in runs),
            test_size=len(of_samples(runs, "test_primary")),
            measured_on=str(first.settings.get("evaluate_on", "test")),
            epochs=len(first.epochs),
            protocol=str(first.settings.get("protocol", "")),
            kind=first.kind,
            folds=folds_of(first.settings),
        )

    @property
    def remark(self) -> str:
        """What has to be said of the rows: which part they are measured on, and which of them are classical models."""
        told = [] if self.folds is None else [f"Cross-validation in {self.folds} parts; a seed measures one of them."]
        if self.measured_on == "validation":
            told.append("It is the validation part that is called test here (--evaluate-on validation).")
        if names := [row.name for row in self.rows if row.role == "classical"]:
            told.append(f"No network: {listed(names)}.")
        if outside := [name for name in names if entry(name).uses_outside_data]:
            told.append(f"With outside data, since its features are those of a pretrained network: {listed(outside)}.")
        return " ".join(told)

    @property
    def drawn(self) -> str:
        """What the bootstrap drew, in words; the same for all differences, since there is one test set."""
        return next((each.drawn for row in self.rows for each in row.differences.values()), "test samples")

    @property
    def columns(self) -> tuple[str, ...]:
        """What any row has a difference to: references, and `OWN`."""
        return tuple(name for name in (*REFERENCES, OWN) if any(row.difference(name) for row in self.rows))

    def row(self, name: str) -> Row | None:
        """Return the row of this name, and None if it did not run."""
        return next((row for row in self.rows if row.name == name), None)


def compare_runs(runs: Sequence[Run], vary: Collection[str] = ()) -> Comparison:
    """Compare the runs of label sources, each by its role and its baselines in the table of sources.

    Args:
        runs: of one task, on one test set.
        vary: settings, besides method and seed, that may differ between them.

    Raises:
        InputError: for no run, one method and seed twice, or runs that differ in anything else.
    """
    runs = sorted(runs, key=lambda run: run.method in CLASSICAL)  # a network's epochs are those of the table
    check_alike(runs, vary)
    return Comparison.of([Contender.of(name, own) for name, own in by_method(runs).items()], runs)


def by_method(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the runs of each method, ascending by seed; the methods as `in_order` orders them."""
    runs = sorted(runs, key=lambda run: run.seed)
    return {name: [run for run in runs if run.method == name] for name in in_order(run.method for run in runs)}


def in_order(methods: Iterable[str]) -> list[str]:
    """Return each method once: references, other controls, what is to be judged, outside labels, classical models.

    >>> in_order(["linear-probe", "human", "maxl", "uniform", "kmeans", "single", "maxl"])
    ['single', 'uniform', 'maxl', 'kmeans', 'human', 'linear-probe']
    """
    rank = {"control": 1, "method": 2, "outside": 3, "classical": 4}
    known = {name: (0, REFERENCES.index(name)) for name in REFERENCES}
    return sorted(dict.fromkeys(methods), key=lambda name: known.get(name, (rank[entry(name).role], 0)))


def difference(own: Iterable[Result], others: Iterable[Result], groups: Whole | None = None) -> Difference | None:
    """Return how much more accurate one row is than another, paired by seed; None if they share no seed.

    Args:
        own: the results of the one.
        others: those of the other.
        groups: the group of each test sample, int64 `[n]`; None if each is one by itself.
    """
    partner = {result.seed: result for result in others}
    pairs = [(result, partner[result.seed]) for result in own if result.seed in partner]
    if not pairs:
        return None
    by_seed = [result.accuracy - other.accuracy for result, other in pairs]
    values = [result.correct - other.correct for result, other in pairs]
    by_sample = side_by_side(values, [result.ids for result, _ in pairs])
    mean, overlap = np.nanmean(by_sample, axis=0), pairs[0][0].overlap
    if overlap:  # a sample is measured once: what seeds add to its difference can't be told apart
        by_sample = mean[None]
    by_group = over_groups(by_sample, groups)
    return Difference(
        by_seed=tuple(by_seed),
        seeds=mean_over_seeds(by_seed, overlap=overlap),
        test=mean_over_samples(by_group.mean(axis=0)),
        floor=floor_of_test_interval(by_group),
        groups=None if groups is None else by_group.shape[1],
        overlap=overlap,
    )


def _row(each: Contender, by_name: Mapping[str, Mapping[int, Result]], groups: Whole | None) -> Row:
    own, single = by_name[each.name], by_name.get("single", {})
    found = {name: difference(own.values(), by_name.get(name, {}).values(), groups) for name in each.baselines}
    correct = side_by_side([result.correct for result in own.values()], [result.ids for result in own.values()])
    overlap = next(iter(own.values())).overlap
    seconds = {name: statistics.median(r.seconds for r in results.values()) for name, results in by_name.items()}
    return Row(
        name=each.name,
        role=each.role,
        baselines=each.baselines,
        seeds=tuple(own),
        accuracies=tuple(result.accuracy for result in own.values()),
        accuracy=mean_over_seeds([result.accuracy for result in own.values()], overlap=overlap),
        balanced_accuracy=mean_over_seeds([result.balanced_accuracy for result in own.values()], overlap=overlap),
        on_new=share_of_samples(np.nanmean(correct, axis=0), groups),
        differences={name: difference for name, difference in found.items() if difference is not None},
        absent=tuple(seed for seed in single if seed not in own),
        seconds_per_epoch=statistics.fmean(result.seconds_per_epoch for result in own.values()),
        cost=seconds[each.name] / seconds["single"] if seconds.get("single") else None,
    )
