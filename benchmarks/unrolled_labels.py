"""What labels learned through the whole training are worth, at equal data: the study of `unrolled`.

    python benchmarks/unrolled_labels.py --root data --out unrolled-labels

Each seed draws training samples, folds, labels and the final training anew. First it prints how many core-hours all
runs take, by a rehearsal of each row. Then it trains what is missing, seed by seed, and writes for each data set the
rows (`rows.csv`) and a sheet of the sub-classes (`sheet.png`). An interrupted run goes on after its last iteration or
epoch. `--sets`, `--rows` and `--seeds` restrict it; what other calls have trained is in the table too.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from metaux.evidence.comparison import Comparison
from metaux.evidence.contender import Contender, Result
from metaux.evidence.table import table, to_csv
from metaux.files import write_text_atomic
from metaux.labels.sources import REFERENCES, Role
from metaux.runs.launch import rehearse
from metaux.runs.loading import load_once
from metaux.runs.pool import summarise_failures, train
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.benchmark.datasets import found

MOST_HOURS = 40
ANOTHER = 1000  # added to a seed: another start, another order
CIFAR = Settings(
    data="cifar100",
    hierarchy="cifar100",
    primary="3",
    subclasses=(8,),
    image_size=16,
    augment="none",
    backbone="small-cnn",
    device="cpu",
)
FASHION = Settings(
    data="fashion-mnist",
    subclasses=(5,),
    train_size=1000,
    image_size=16,
    augment="none",
    backbone="small-cnn",
    batch_size=50,
    device="cpu",
)
SETS = {
    "cifar100-3-short": replace(CIFAR, train_size=4000, epochs=12, iterations=15),
    "cifar100-3-long": replace(CIFAR, train_size=3000, epochs=40, iterations=10),
    "fashion-short": replace(FASHION, epochs=12, iterations=15),
    "fashion-long": replace(FASHION, epochs=40, iterations=10),
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        method: the label source.
        changes: of the data set's settings.
        times: how many times the data set's epochs.
        labels_of: the row whose runs' labels it learns.
        another_start: start and order are other ones than those that the labels were learned with.
        baselines: the rows that it is compared with.
        sets: the data sets that it runs on.
    """

    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1
    labels_of: str = ""
    another_start: bool = False
    baselines: tuple[str, ...] = ("single",)
    sets: tuple[str, ...] = tuple(SETS)

    @property
    def role(self) -> Role:
        return "method" if self.method in ("unrolled", "recorded") else "control"

    def trial(self, settings: Settings, seed: int, seconds: float = 1.0) -> Trial:
        """Return the run of a seed, but for the labels that it learns."""
        assert isinstance(settings.epochs, int)
        own = replace(settings, epochs=self.times * settings.epochs, **self.changes)
        if self.another_start:
            own = replace(own, train_seed=seed)
        return Trial(own, self.method, seed + ANOTHER * self.another_start, seconds)


def learned(kind: str) -> dict[str, Row]:
    """Return the rows of one parametrisation of the labels: they, and what is left of them without information."""
    shuffled, random = f"{kind}, shuffled", f"{kind}, equally sharp at random"
    return {
        kind: Row("unrolled", {"label_parameters": kind}, baselines=(*REFERENCES, *LONGER, shuffled, random)),
        shuffled: Row("shuffled", labels_of=kind),
        random: Row("permuted", labels_of=kind),
    }


LONGER = {f"single, {times} times the epochs": Row("single", times=times) for times in (2, 4)}
ONE_SET = ("cifar100-3-short",)
CONV4 = {"backbone": "conv4"}
STARTED = ("single, another start", "uniform, another start")
ROWS = {
    **{name: Row(name) for name in REFERENCES},
    **LONGER,
    **learned("table"),
    **learned("clusters"),
    **learned("generator"),
    "table, outer classes shuffled": Row("unrolled-shuffled", {"label_parameters": "table"}),
    "table, mean of three starts": Row("unrolled", {"label_parameters": "table", "starts": 3}, sets=ONE_SET),
    "single, another start": Row("single", another_start=True),
    "uniform, another start": Row("uniform", another_start=True),
    "table's labels, another start": Row("recorded", labels_of="table", another_start=True, baselines=STARTED),
    "three starts' labels, another start": Row(
        "recorded",
        labels_of="table, mean of three starts",
        another_start=True,
        baselines=(*STARTED, "table's labels, another start"),
        sets=ONE_SET,
    ),
    "single, another network": Row("single", CONV4),
    "uniform, another network": Row("uniform", CONV4),
    "table's labels, another network": Row(
        "recorded", CONV4, labels_of="table", baselines=("single, another network", "uniform, another network")
    ),
}


class Study:
    """The runs of some data sets and rows.

    Args:
        store: where they are recorded.
        root: the folder of the data sets.
        sets: by name.
        rows: by name.
        seeds: how many.
    """

    def __init__(self, store: Store, root: str, sets: list[str], rows: list[str], seeds: range):
        self.store, self.seeds = store, seeds
        self.sets, self.missing = found({name: SETS[name] for name in sets}, root, "cpu")
        self.rows = {name: row for name, row in ROWS.items() if name in rows}
        self.seconds: dict[tuple[str, str], float] = {}

    def of(self, name: str) -> dict[str, Row]:
        """Return the rows that run on a data set."""
        return {title: row for title, row in self.rows.items() if name in row.sets}

    def trial(self, name: str, title: str, seed: int) -> Trial:
        """Return a run; its labels are in the folder of the run that learned them."""
        row = ROWS[title]
        trial = row.trial(self.sets[name], seed, self.seconds.get((name, title), 1.0))
        if row.labels_of:
            trial = trial.changed(labels=str(self.store.folder(self.trial(name, row.labels_of, seed))))
        return trial

    def estimate(self, console: Console) -> float:
        """Print the core-hours of each data set, by a rehearsal of each row; return those of all."""
        total = 0.0
        for name, settings in self.sets.items():
            hours, longest, data = 0.0, 0.0, load_once(settings)
            for title, row in self.of(name).items():
                # Labels that are read cost nothing: the row is as uniform.
                trial = (replace(row, method="uniform") if row.labels_of else row).trial(settings, 0)
                begun = time.perf_counter(), time.process_time()
                cost, _ = rehearse(trial, data, curve=False)
                # Core-hours are of the CPU's time: other programs may run beside the rehearsal.
                share = (time.process_time() - begun[1]) / (time.perf_counter() - begun[0])
                seconds = share * cost.of(trial.protocol.epochs)
                self.seconds[name, title] = seconds / trial.protocol.epochs
                hours, longest = hours + len(self.seeds) * seconds / 3600, max(longest, seconds)
            console.print(f"{name}: {hours:.1f} core-hours, the longest run {longest / 60:.0f} minutes")
            total += hours
        return total

    def trials(self, seed: int) -> Iterator[list[Trial]]:
        """Yield the runs of a seed: those that make labels or need none, then those that need them."""
        for needs in (False, True):
            yield [
                self.trial(name, title, seed)
                for name in self.sets
                for title, row in self.of(name).items()
                if bool(row.labels_of) == needs
            ]

    def compare(self, name: str) -> Comparison | None:
        """Return the table of a data set, of what is there."""
        contenders, runs = [], []
        for title, row in ROWS.items():
            if name in row.sets:
                runs_of = [(seed, self.store.find(self.trial(name, title, seed))) for seed in self.seeds]
                own = [(seed, run) for seed, run in runs_of if run is not None]
                results = [replace(Result.of(run), seed=seed) for seed, run in own]
                contenders.append(Contender(title, results, row.role, row.baselines))
                runs += [run for _, run in own]
        return Comparison.of(contenders, runs) if runs else None

    def draw_sheet(self, name: str, row_name: str = "table", shown: int = 12) -> None:
        """Draw, of the first seed's labels, the training images with the largest share of each sub-class."""
        from matplotlib.figure import Figure

        run = self.store.find(self.trial(name, row_name, self.seeds[0]))
        if run is None:
            return
        data, labels = load_once(self.sets[name]), torch.as_tensor(run.output("train_labels")).float()
        assert data.train.ids is not None
        places = {int(own): place for place, own in enumerate(data.train.ids)}
        samples = data.train.take(torch.tensor([places[int(own)] for own in run.output("train_ids")]))
        names = data.hierarchy.class_names
        figure = Figure(figsize=(shown / 2, len(names) * labels.shape[1] / 2))
        around = {"left": 0.2, "right": 0.99, "bottom": 0.01, "top": 0.99, "wspace": 0.05, "hspace": 0.05}
        grid = figure.subplots(len(names) * labels.shape[1], shown, squeeze=False, gridspec_kw=around)
        for axes in grid.flat:
            axes.set_axis_off()
        for class_, class_name in enumerate(names):
            rows = (samples.primary == class_).nonzero().squeeze(-1)
            for slot in range(labels.shape[1]):
                line = grid[class_ * labels.shape[1] + slot]
                title, at = f"{class_name} {slot + 1}", line[0].transAxes
                line[0].text(-0.2, 0.5, title, ha="right", va="center", fontsize=6, transform=at)
                for axes, row in zip(line, rows[labels[rows, slot].topk(min(shown, len(rows))).indices], strict=False):
                    pixels = samples.inputs[0][row].permute(1, 2, 0).numpy()
                    axes.imshow(pixels.squeeze(), cmap="gray", interpolation="nearest")
        figure.savefig(self.store.out / name / "sheet.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="folder of the data sets (default: data)")
    parser.add_argument("--out", type=Path, default=Path("unrolled-labels"), help="folder of the runs")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS], help="data sets (default: all)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=[*ROWS], help="rows (default: all)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument("--estimate", action="store_true", help="print the core-hours and end")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    study = Study(Store(arguments.out), arguments.root, arguments.sets, arguments.rows, range(arguments.seeds))
    for note in study.missing:
        console.print(note)
    hours = study.estimate(console)
    console.print(f"together {hours:.1f} core-hours (at most {MOST_HOURS})")
    if arguments.estimate or hours > MOST_HOURS:
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for seed in study.seeds:
        for trials in study.trials(seed):
            if trials:
                failures += train(trials, study.store, 1, console, f"seed {seed}", curve=False)
        for name in study.sets:
            if (comparison := study.compare(name)) is not None:
                (study.store.out / name).mkdir(exist_ok=True)
                write_text_atomic(study.store.out / name / "rows.csv", to_csv(comparison, whole=True))
                study.draw_sheet(name)
                console.print(table(comparison, console.width))
    if failures:
        raise SystemExit(summarise_failures(failures))


if __name__ == "__main__":
    main()
