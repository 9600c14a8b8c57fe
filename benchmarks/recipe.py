"""Which parts of the recipe pay at the default length, on validation data: what `tuned` has on by default.

    nice python benchmarks/recipe.py --root data --out results/recipe

Single task on five data sets, with the protocol's 20 epochs and its batches: digits, 1,000 images of Fashion-MNIST,
2,000 of CIFAR-100 in three classes, a table, and texts: what the documentation of five Python libraries says of their
functions, with the library as class. Each part is compared with none of them, seed by seed. A part pays where the mean
difference over the data sets that it is for has a 95 % interval above zero (Student, over seeds). Runs that are there
are not made again.
"""

import argparse
import csv
import importlib
import inspect
import pkgutil
import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from metaux.errors import InputError
from metaux.evidence.statistics import mean_over_seeds
from metaux.files import to_csv, write_text_atomic
from metaux.runs.pool import longest_first, train
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Processes
from metaux.settings import Settings
from metaux.studies.benchmark.datasets import DATASETS, found

IMAGES = ("digits", "fashion-1000", "cifar100-3-2k")
CIFAR = replace(DATASETS["cifar100-3-10k"], train_size=2000, epochs=None)
DATA = {
    "digits": Settings(),
    "fashion-1000": Settings(data="fashion-mnist", train_size=1000),
    "cifar100-3-2k": CIFAR,
    "breast-cancer": Settings(data="breast-cancer"),
}
PARTS: dict[str, tuple[Mapping[str, Any], Sequence[str]]] = {
    "adamw": ({"optimizer": "adamw"}, ()),
    "warm-up 2": ({"warm_up": 2}, ()),
    "label smoothing 0.1": ({"label_smoothing": 0.1}, ()),
    "weight average 0.1": ({"weight_average": 0.1}, ()),
    "mixup": ({"mix": "mixup"}, IMAGES),
    "cutmix": ({"mix": "cutmix"}, IMAGES),
    "trivial augment": ({"trivial_augment": "on"}, IMAGES),
}
COLUMNS = ("data_set", "row", "seed", "accuracy")
LIBRARIES = ("matplotlib", "numpy", "pandas", "scipy", "sklearn")
EACH = 240


def summaries(library: str) -> Iterator[str]:
    """Yield the first paragraph of what a library says of each of its functions and classes, without its own name."""
    root = importlib.import_module(library)
    names = [root.__name__, *(f"{library}.{module.name}" for module in pkgutil.iter_modules(root.__path__))]
    for name in sorted(names):
        if "test" in name or "._" in name:
            continue
        try:
            module = importlib.import_module(name)
        except Exception:  # of a part that needs what is not installed
            continue
        for _, member in sorted(vars(module).items()):
            if callable(member) and str(getattr(member, "__module__", "")).startswith(library):
                first = " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())
                if len(first) > 30 and library not in first.lower():
                    yield first


def write_texts(path: Path) -> None:
    """Write so many texts of each library."""
    with warnings.catch_warnings(), path.open("w", encoding="utf-8", newline="") as file:
        warnings.simplefilter("ignore")
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for library in LIBRARIES:
            texts = sorted(set(summaries(library)))
            step = len(texts) / EACH
            chosen = texts if step < 1 else [texts[int(step * place)] for place in range(EACH)]
            writer.writerows([text, library] for text in chosen)


def write_summary(
    accuracy: Mapping[tuple[str, str, int], float],
    groups: Mapping[str, Sequence[str]],
    out: Path | None,
    prefix: str,
) -> None:
    """Print the differences of each row to `none`, and write them beside the accuracies.

    Args:
        accuracy: by data set, row and seed, a fraction.
        groups: of data sets, by name: a row that ran on all of them gets their mean.
        out: the folder; None for no files.
        prefix: of their names.
    """
    found = dict(accuracy)
    for name, members in groups.items():
        for row, seed in dict.fromkeys((row, seed) for _, row, seed in accuracy):
            if all((member, row, seed) in accuracy for member in members):
                found[name, row, seed] = statistics.fmean(accuracy[member, row, seed] for member in members)
    differences: list[dict[str, object]] = []
    for name, row in dict.fromkeys((name, row) for name, row, _ in found if row != "none"):
        seeds = [seed for set_, own, seed in found if (set_, own) == (name, row)]
        gain = mean_over_seeds([found[name, row, seed] - found[name, "none", seed] for seed in seeds])
        differences.append({"data_set": name, "row": row, "minus": "none", "n": len(seeds), **asdict(gain)})
        print(f"{name}, {row}: {gain.mean:+.4f} [{gain.low}, {gain.high}], n = {len(seeds)}")
    rows = [dict(zip(COLUMNS, (*key, value), strict=True)) for key, value in found.items()]
    if out:
        out.mkdir(parents=True, exist_ok=True)
        for kind, table in (("accuracies", rows), ("differences", differences)):
            write_text_atomic(out / f"{prefix}{kind}.csv", to_csv(table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="where Fashion-MNIST and CIFAR-100 are (default: data)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument("--epochs", type=int, help="of all runs (default: the protocol's)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (default: 1)")
    parser.add_argument("--runs", type=Path, default=Path("metaux-runs/recipe"), help="where the runs are kept")
    parser.add_argument("--out", type=Path, help="folder of the records to write")
    options = parser.parse_args()
    console = Console()
    options.runs.mkdir(parents=True, exist_ok=True)
    data, lost = found(DATA, options.root, "cpu")
    if lost:
        raise InputError("; ".join(lost))
    texts = options.runs / "texts.csv"
    if not texts.exists():
        write_texts(texts)
    data["texts"] = Settings(data=str(texts))
    settings = {
        (name, part): replace(base, evaluate_on="validation", epochs=options.epochs, **values)
        for name, base in data.items()
        for part, (values, only) in {"none": ({}, ()), **PARTS}.items()
        if not only or name in only
    }
    trials = {
        (*key, seed): Trial(own, "single", seed) for key, own in settings.items() for seed in range(options.seeds)
    }
    store = Store(options.runs)
    failures = train(longest_first(trials.values()), store, Processes(options.jobs), console, "recipe", curve=False)
    if failures:
        raise SystemExit("\n".join(failures))
    accuracy = {key: run.accuracy for key, trial in trials.items() if (run := store.find(trial)) is not None}
    write_summary(accuracy, {"images": IMAGES, "all": [*data]}, options.out, "")


if __name__ == "__main__":
    main()
