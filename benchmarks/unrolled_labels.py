"""What labels learned through the whole training are worth, at equal data: the study of `unrolled`.

    python benchmarks/unrolled_labels.py --root data --out unrolled-labels --records results/unrolled

Each seed draws training samples, folds, labels and the final training anew. First it prints how many core-hours are
left, by what is recorded of a row or by a rehearsal of it. Then it trains what is not recorded, seed by seed, and
records each run (`SET-accuracies.csv`) and the outer losses by which its labels were learned (`SET-outer-losses.csv`).
After each seed it writes the paired differences (`SET-differences.csv`) and a sheet of the sub-classes (`SET.png`). An
interrupted run goes on after its last iteration or epoch while its folder in `--out` is there; what is recorded needs
no folder. `--sets`, `--rows` and `--seeds` restrict it.
"""

import argparse
import csv
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.evidence.statistics import mean_over_seeds
from metaux.files import to_csv, write_text_atomic
from metaux.labels.sources import REFERENCES
from metaux.runs.launch import rehearse
from metaux.runs.loading import load_once
from metaux.runs.pool import summarise_failures, train
from metaux.runs.record import Run
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Processes
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
# A whole training grows unstable on the way back, and takes longer.
STABLE: dict[str, Any] = {"warm_up": 2, "horizon": 100}
OWN_START: dict[str, Any] = {**STABLE, "starts": 1}
TURNS: dict[str, Any] = {**STABLE, "starts": 40, "iterations": 40}
SETS = {
    "fashion-short": replace(FASHION, epochs=12, iterations=15, starts=1, horizon=1_000_000),
    "cifar100-3-stable": replace(CIFAR, train_size=4000, epochs=12, iterations=15, **OWN_START),
    "fashion-stable": replace(FASHION, epochs=12, iterations=15, **OWN_START),
    "cifar100-3-long": replace(CIFAR, train_size=3000, epochs=40, iterations=10, **OWN_START),
    "fashion-long": replace(FASHION, epochs=40, iterations=10, **OWN_START),
    "cifar100-3-turns": replace(CIFAR, train_size=4000, epochs=12, **TURNS),
    "fashion-turns": replace(FASHION, epochs=12, **TURNS),
    "cifar100-3-long-turns": replace(CIFAR, train_size=3000, epochs=40, **TURNS),
    "fashion-long-turns": replace(FASHION, epochs=40, **TURNS),
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

    def trial(self, settings: Settings, seed: int, seconds: float = 1.0) -> Trial:
        """Return the run of a seed, but for the labels that it learns."""
        assert isinstance(settings.epochs, int)
        own = replace(settings, epochs=self.times * settings.epochs, **self.changes)
        if self.another_start:
            own = replace(own, train_seed=seed)
        return Trial(own, self.method, seed + ANOTHER * self.another_start, seconds)


def learned(name: str, sets: tuple[str, ...] = tuple(SETS), **changes: Any) -> dict[str, Row]:
    """Return the rows of labels learned in one way: they, and what is left of them without information."""
    shuffled, random = f"{name}, shuffled", f"{name}, equally sharp at random"
    return {
        name: Row("unrolled", changes, baselines=(*REFERENCES, *LONGER, shuffled, random), sets=sets),
        shuffled: Row("shuffled", labels_of=name, sets=sets),
        random: Row("permuted", labels_of=name, sets=sets),
    }


def by_horizon(name: str, horizon: int) -> dict[str, Row]:
    """Return the rows of tables learned through so many last steps; those of 100 are `table`'s."""
    sets = ("cifar100-3-turns", "cifar100-3-long-turns")
    return learned(f"table, horizon {name}", sets, label_parameters="table", horizon=horizon)


LONGER = {f"single, {times} times the epochs": Row("single", times=times) for times in (2, 4)}
ONE_SET = ("cifar100-3-stable",)
CONV4 = {"backbone": "conv4"}
STARTED = ("single, another start", "uniform, another start")
ROWS = {
    **{name: Row(name) for name in REFERENCES},
    **LONGER,
    **learned("table", label_parameters="table"),
    **learned("clusters", label_parameters="clusters"),
    **learned("generator", label_parameters="generator"),
    **by_horizon("1", 1),
    **by_horizon("5", 5),
    **by_horizon("20", 20),
    **by_horizon("all", 1_000_000),
    "table, outer classes shuffled": Row("unrolled-shuffled", {"label_parameters": "table"}),
    "table, three starts in turn": Row("unrolled", {"label_parameters": "table", "starts": 3}, sets=ONE_SET),
    "single, another start": Row("single", another_start=True),
    "uniform, another start": Row("uniform", another_start=True),
    "table's labels, another start": Row("recorded", labels_of="table", another_start=True, baselines=STARTED),
    "three starts' labels, another start": Row(
        "recorded",
        labels_of="table, three starts in turn",
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


@dataclass(frozen=True)
class Finished:
    """What a run reached.

    Args:
        accuracy: on the test samples, a fraction.
        seconds: of the CPU, by the call that finished it.
    """

    accuracy: float
    seconds: float


class Study:
    """The runs of one data set.

    Args:
        name: of the data set.
        settings: of its runs.
        store: where runs are worked on.
        records: the folder of the record.
    """

    def __init__(self, name: str, settings: Settings, store: Store, records: Path):
        self.name, self.settings, self.store, self.records = name, settings, store, records
        self.rows = {title: row for title, row in ROWS.items() if name in row.sets}
        self.path, self.losses = records / f"{name}-accuracies.csv", records / f"{name}-outer-losses.csv"
        self.found: dict[tuple[str, int], Finished] = {}
        for line in _lines(self.path):
            self.found[line["row"], int(line["seed"])] = Finished(float(line["accuracy"]), float(line["seconds"]))

    def trial(self, title: str, seed: int) -> Trial:
        """Return a run; its labels are in the folder of the run that learned them."""
        row = self.rows[title]
        trial = row.trial(self.settings, seed)
        if row.labels_of:
            trial = trial.changed(labels=str(self.store.folder(self.trial(row.labels_of, seed))))
        return trial

    def todo(self, rows: list[str], seed: int) -> list[str]:
        """Return the rows to train with a seed: labels that others need stand before them, recorded or not."""
        missing = [title for title in self.rows if title in rows and (title, seed) not in self.found]
        needed = [self.rows[title].labels_of for title in missing if self.rows[title].labels_of]
        return list(dict.fromkeys([*(title for title in missing if title in needed), *needed, *missing]))

    def estimate(self, rows: list[str], seeds: range, console: Console) -> float:
        """Print the core-hours of what is to be trained, and return them."""
        total, longest, data = 0.0, 0.0, load_once(self.settings)
        for title in self.rows:
            times = sum(title in self.todo(rows, seed) for seed in seeds)
            if times:
                own = [found.seconds for (name, _), found in self.found.items() if name == title]
                seconds = sum(own) / len(own) if own else self._rehearsed(title, data)
                total, longest = total + times * seconds / 3600, max(longest, seconds)
        console.print(f"{self.name}: {total:.1f} core-hours, the longest run {longest / 60:.0f} minutes")
        return total

    def _rehearsed(self, title: str, data: LabelledData) -> float:
        row = self.rows[title]
        # Labels that are read cost nothing: the row is as uniform.
        trial = (replace(row, method="uniform") if row.labels_of else row).trial(self.settings, 0)
        begun = time.perf_counter(), time.process_time()
        cost, _ = rehearse(trial, data, curve=False)
        # Core-hours are of the CPU's time: other programs may run beside the rehearsal.
        share = (time.process_time() - begun[1]) / (time.perf_counter() - begun[0])
        return share * cost.of(trial.protocol.epochs)

    def train(self, rows: list[str], seed: int, console: Console) -> Iterator[str]:
        """Train and record what is missing of a seed; yield why a run could not be finished."""
        for title in self.todo(rows, seed):
            trial = self.trial(title, seed)
            begun = time.process_time()
            yield from train(
                [trial], self.store, Processes(1), console, f"{self.name}, seed {seed}, {title}", curve=False
            )
            run = self.store.find(trial)
            if run is not None and (title, seed) not in self.found:
                self.found[title, seed] = Finished(run.accuracy, time.process_time() - begun)
                write_text_atomic(self.path, to_csv(self._recorded()))
                self._record_outer_losses(title, seed, run)

    def _record_outer_losses(self, title: str, seed: int, run: Run) -> None:
        """Record the outer loss of each iteration, if the run learned labels by them."""
        name = "source.outer_losses"
        if name not in (tensors := run.weights()):
            return
        own = [
            {"row": title, "seed": seed, "iteration": number, "outer_loss": round(loss, 5)}
            for number, loss in enumerate(tensors[name].tolist(), 1)
        ]
        write_text_atomic(self.losses, to_csv([*_lines(self.losses), *own]))

    def _recorded(self) -> list[dict[str, object]]:
        return [
            {"row": name, "seed": seed, "accuracy": own.accuracy, "seconds": round(own.seconds, 1)}
            for title in self.rows
            for (name, seed), own in sorted(self.found.items())
            if name == title
        ]

    def compare(self, console: Console) -> None:
        """Print and write the paired difference of each row to each of its baselines."""
        lines: list[dict[str, object]] = []
        for title, row in self.rows.items():
            for other in row.baselines:
                gains = [
                    own.accuracy - self.found[other, seed].accuracy
                    for (name, seed), own in sorted(self.found.items())
                    if name == title != other and (other, seed) in self.found
                ]
                if gains:
                    gain = mean_over_seeds(gains)
                    lines.append({"row": title, "minus": other, "n": len(gains), **asdict(gain)})
                    interval = "" if gain.low is None else f" [{gain.low:+.4f}, {gain.high:+.4f}]"
                    console.print(f"{self.name}: {title} - {other}: {gain.mean:+.4f}{interval}")
        if lines:
            write_text_atomic(self.records / f"{self.name}-differences.csv", to_csv(lines))

    def draw_sheet(self, seed: int, row_name: str = "table", shown: int = 12) -> None:
        """Draw the training images with the largest share of each sub-class, if the run with the labels is there."""
        from matplotlib.figure import Figure

        run = self.store.find(self.trial(row_name, seed))
        if run is None:
            return
        data, labels = load_once(self.settings), torch.as_tensor(run.output("train_labels")).float()
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
        figure.savefig(self.records / f"{self.name}.png", dpi=110)


def _lines(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV file, none if it is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="folder of the data sets (default: data)")
    parser.add_argument("--out", type=Path, default=Path("unrolled-labels"), help="folder of the runs")
    parser.add_argument("--records", type=Path, default=Path("results/unrolled"), help="folder of the record")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS], help="data sets (default: all)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=[*ROWS], help="rows (default: all)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument("--estimate", action="store_true", help="print the core-hours and end")
    arguments = parser.parse_args()
    console, seeds = Console(highlight=False), range(arguments.seeds)
    store = Store(arguments.out)
    there, lost = found({name: SETS[name] for name in arguments.sets}, arguments.root, "cpu")
    for note in lost:
        console.print(note)
    studies = [Study(name, settings, store, arguments.records) for name, settings in there.items()]
    hours = sum(study.estimate(arguments.rows, seeds, console) for study in studies)
    console.print(f"together {hours:.1f} core-hours (at most {MOST_HOURS})")
    if arguments.estimate or hours > MOST_HOURS:
        return
    for folder in (arguments.out, arguments.records):
        folder.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for seed in seeds:
        for study in studies:
            failures += study.train(arguments.rows, seed, console)
            study.compare(console)
            study.draw_sheet(seed)
    if failures:
        raise SystemExit(summarise_failures(failures))


if __name__ == "__main__":
    main()
