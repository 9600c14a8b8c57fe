"""The runs on test data: which there are, and what they say of each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metaux.evidence.statistics import Estimate, mean_over_samples, mean_over_seeds, over_groups, paired
from metaux.labels.sources import ON_SPLIT, REFERENCES
from metaux.runs.record import Run, training_seconds
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.benchmark.plan import planned_values
from metaux.studies.benchmark.probe import Probed
from metaux.studies.benchmark.rules import SINGLE, Contestant, Rules

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

# Apart from the seeds that anything was chosen with.
FIRST_SEED = 100
SECOND_NETWORK = 1000
ENSEMBLE = "ensemble of two"
SHUFFLED = "shuffled"
# Single task with the epochs that the method of that name costs.
EQUAL_COMPUTE = f"{SINGLE}, compute of"


@dataclass(frozen=True)
class Row:
    """What one row reached on test data.

    Args:
        name: what the table calls it.
        role: as `Contestant.role`, or `baseline` for single task at other expense.
        seeds: those that it ran with.
        accuracies: with each of them.
        accuracy: their mean and interval.
        differences: to each row that it is compared with, seed by seed: mean and Student t interval.
        by_seed: the differences themselves; none where the other row has no runs.
        over_samples: the same means, and their bootstrap interval over the test samples; none for rows that are no
            network.
        cost: seconds of training, where those of single task are 1.
        absent: the seeds that single task ran with and the row did not: what alone came through can't be judged.
    """

    name: str
    role: str
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    accuracy: Estimate
    differences: Mapping[str, Estimate]
    by_seed: Mapping[str, tuple[float, ...]]
    over_samples: Mapping[str, Estimate]
    cost: float
    absent: tuple[int, ...] = ()

    def above(self, other: str) -> bool:
        """Whether no run is absent, and the difference to another row is there, and its intervals above zero."""
        found = self.differences.get(other), self.over_samples.get(other)
        there = found[0] is not None and not self.absent
        return there and all(difference is None or difference.above for difference in found)

    @property
    def beats_all(self) -> bool:
        """Whether it is above everything that it is to be compared with."""
        return bool(self.by_seed) and all(map(self.above, self.by_seed))

    def minus(self, other: "Row") -> Estimate:
        """Return the difference to any other row, seed by seed: mean and Student t interval."""
        own, others = (dict(zip(row.seeds, row.accuracies, strict=True)) for row in (self, other))
        return mean_over_seeds(paired(own, others))


def planned(
    bed: Settings, contestants: Sequence[Contestant], plan: Mapping[str, Any], rules: Rules
) -> dict[str, list[Trial]]:
    """Return the runs on test data of each row, but for those that need another's labels."""
    found: dict[str, list[Trial]] = {}
    seeds = range(FIRST_SEED, FIRST_SEED + plan["seeds"])
    tuned = planned_values(plan, rules)
    for row in contestants:
        if row.name in tuned:
            base = Trial(bed, row.method, 0).changed(**row.changes, **tuned[row.name])
            cost = plan["rows"][row.name]["cost"]
            found[row.name] = [Trial(base.settings, row.method, seed, cost) for seed in seeds]
    single = found[SINGLE]
    for name in plan["longer"]:
        epochs = plan["rows"][name]["epochs_of_equal_compute"]
        if plan["rows"][name]["cost"] > 1 and (longer := [trial.changed(epochs=epochs) for trial in single]) != single:
            found[f"{EQUAL_COMPUTE} {name}"] = longer
    # The same samples for both networks: an ensemble's gain must not be that of more data.
    found[ENSEMBLE] = [
        Trial(trial.changed(train_seed=trial.seed).settings, trial.method, trial.seed + SECOND_NETWORK)
        for trial in single
    ]
    return found


def shuffled(
    contestants: Sequence[Contestant], trials: Mapping[str, Sequence[Trial]], store: Store
) -> dict[str, list[Trial]]:
    """Return the control of each method whose labels are recorded: another sample's label of the same class."""
    found: dict[str, list[Trial]] = {}
    for name in (row.name for row in contestants if row.role in ("method", "pretrained") and row.name in trials):
        runs = [(trial, run) for trial in trials[name] if (run := store.find(trial)) is not None]
        if runs and all("train_labels" in run.outputs() for _, run in runs):
            found[f"{name}, {SHUFFLED}"] = [shuffled_labels(trial, run) for trial, run in runs]
    return found


def shuffled_labels(trial: Trial, run: Run) -> Trial:
    """Return the control of a run whose labels are recorded, on the samples that have one.

    Those of a meta split have none: the control gives them up as well, so that both learn the same samples' classes.
    """
    method = ON_SPLIT[SHUFFLED] if "meta_ids" in run.outputs() else SHUFFLED
    return Trial(trial.changed(labels=str(run.folder)).settings, method, trial.seed)


def measured(
    contestants: Sequence[Contestant],
    trials: Mapping[str, Sequence[Trial]],
    store: Store,
    probes: Mapping[str, Probed] | None = None,
) -> list[Row]:
    """Return what each row reached, in the order of the table: baselines, then each row above its shuffled labels.

    Args:
        contestants: the rows.
        trials: their runs, and those of the rows that follow from them.
        store: where the runs are.
        probes: the rows that are no runs.
    """
    runs = {name: {t.seed: run for t in own if (run := store.find(t)) is not None} for name, own in trials.items()}
    single = runs[SINGLE]
    groups = next(iter(single.values())).test_groups
    accuracy = {name: {seed: run.accuracy for seed, run in own.items()} for name, own in runs.items()}
    seconds = {name: training_seconds(own.values()) for name, own in runs.items() if own}
    for name, probed in (probes or {}).items():
        accuracy[name], seconds[name] = probed.accuracies, probed.seconds
    correct = {name: {seed: run.output("test_correct") for seed, run in own.items()} for name, own in runs.items()}
    second = {seed - SECOND_NETWORK: run for seed, run in runs[ENSEMBLE].items()}
    correct[ENSEMBLE] = {seed: _together(run, second[seed]) for seed, run in single.items() if seed in second}
    accuracy[ENSEMBLE] = {seed: float(own.mean()) for seed, own in correct[ENSEMBLE].items()}
    by_name = {row.name: row for row in contestants}
    baselines = [name for name in accuracy if name not in by_name and not name.endswith(f", {SHUFFLED}")]
    order = [SINGLE, *sorted(baselines)]
    for row in contestants[1:]:
        order += [row.name, f"{row.name}, {SHUFFLED}"]
    rows = []
    for name in dict.fromkeys(order):  # a row's shuffled labels may be a contestant of their own
        if not (own := accuracy.get(name)):
            continue
        contestant = by_name.get(name)
        others = (SINGLE,) if contestant is None else (*REFERENCES, *contestant.controls)
        compared = {other: other for other in others if other != name}
        if (
            contestant is not None
            and (own_shuffled := f"{name}, {SHUFFLED}") in accuracy
            and own_shuffled not in compared
        ):
            compared[SHUFFLED] = own_shuffled
        by_seed = {other: tuple(paired(own, accuracy.get(row, {}))) for other, row in compared.items()}
        by_sample = {other: paired(correct.get(name, {}), correct.get(row, {})) for other, row in compared.items()}
        cost = seconds[name] / seconds[SINGLE]
        rows.append(
            Row(
                name=name,
                role=contestant.role if contestant else "baseline" if name in baselines else "control",
                seeds=tuple(own),
                accuracies=tuple(own.values()),
                accuracy=mean_over_seeds(list(own.values())),
                differences={other: mean_over_seeds(values) for other, values in by_seed.items() if values},
                by_seed=by_seed,
                over_samples={
                    other: mean_over_samples(over_groups(np.mean(values, axis=0), groups))
                    for other, values in by_sample.items()
                    if values
                },
                cost=cost + 1 if name == ENSEMBLE else cost,
                absent=tuple(seed for seed in single if seed not in own),
            )
        )
    return rows


def _together(first: Run, second: Run) -> "Array":
    """Return for which test samples the two networks' mean probabilities are right."""
    probabilities = first.output("test_probabilities") + second.output("test_probabilities")
    right: Array = probabilities.argmax(-1) == first.output("test_primary")
    return right.astype(np.float64)
