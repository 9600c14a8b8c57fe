"""Is what `metaux recommend` hands over as good as what a user would pick instead?

    python benchmarks/handed_over.py --cifar100 data/cifar100 --tables data/tables --minutes 10 \\
        --out handed-over --record results/recommend/handed-over.csv

Makes data sets that fit a user's folder, gives each to `metaux recommend`, and measures what is handed over on fresh
samples that nothing was trained or chosen on. Beside it are the classical models, the default `metaux train --method
single`, and for photos two networks from scratch: `metaux train --backbone small-cnn --epochs auto`, and timm's
ResNet-18 (64 pixels, 40 epochs, AdamW). All are trained on the same samples.

- photos: 300 images in 5 classes of CIFAR-100, 500 fresh ones; classes and images are drawn by `--seed`. `--cifar100`
  has class folders below train/ and test/.
- texts: 600 first sentences of the documentation of functions in NumPy, SciPy, scikit-learn and PyTorch, as installed;
  the class is the library. 360 fresh ones.
- tables: those of `--tables`; 60 % of the rows, the others are fresh.

What is recorded already is not made again, also where `--out` is gone. It is at least the best of the others within its
interval if Wilson's 95 % interval of it reaches their accuracy.
"""

import argparse
import importlib
import inspect
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metaux.evidence.statistics import share_of_samples
from metaux.files import to_csv, write_text_atomic

LIBRARIES = ("numpy", "scipy", "sklearn", "torch")
PARTS = {
    "numpy": "linalg fft random ma polynomial",
    "scipy": "stats signal optimize ndimage special",
    "sklearn": "metrics preprocessing datasets model_selection linear_model ensemble cluster decomposition utils",
    "torch": "nn nn.functional optim distributions linalg utils.data",
}
# The class column of each table; whether its first row has the columns' names.
TABLES = {
    "mpg": ("origin", True),
    "tips": ("time", True),
    "planets": ("method", True),
    "ionosphere": (-1, False),
    "sonar": (-1, False),
    "abalone": (0, False),
    "wheat-seeds": (-1, False),
}
CLASSICAL = {"photos": ("linear-probe",), "texts": ("logistic-regression",)}
FROM_SCRATCH = ("--method", "single", "--backbone", "small-cnn", "--epochs", "auto")
OF_TABLES = ("logistic-regression", "gradient-boosting")


def photos(cifar100: Path, out: Path, chance: random.Random) -> tuple[str, str]:
    names = chance.sample(sorted(path.name for path in (cifar100 / "train").iterdir()), 5)
    for name in names:
        files = chance.sample(sorted((cifar100 / "train" / name).iterdir()), 160)
        for part, own in (("photos", files[:60]), ("fresh", files[60:])):
            (out / part / name).mkdir(parents=True)
            for file in own:
                shutil.copy(file, out / part / name)
    return str(out / "photos"), str(out / "fresh")


def texts(out: Path, chance: random.Random) -> tuple[str, str]:
    found: dict[str, str] = {}
    for library in LIBRARIES:
        for sentence in sorted(set(_sentences(library))):
            found.setdefault(sentence, library)
    rows: list[tuple[str, str]] = []
    for library in LIBRARIES:
        own = [(sentence, of) for sentence, of in found.items() if of == library]
        rows += chance.sample(own, 240)
    chance.shuffle(rows)
    return _tables(pd.DataFrame(rows, columns=["text", "label"]), 600, out)


def _sentences(library: str) -> Iterator[str]:
    modules = [
        importlib.import_module(name) for name in (library, *(f"{library}.{part}" for part in PARTS[library].split()))
    ]
    for module in modules:
        for name in dir(module):
            text = inspect.getdoc(getattr(module, name, None)) or ""
            paragraphs = [part for part in text.split("\n\n") if part and not part.startswith(f"{name}(")]
            sentence = " ".join(paragraphs[0].split()) if paragraphs else ""
            if (
                40 <= len(sentence) <= 300
                and "(" not in sentence.partition(" ")[0]
                and not re.search(r"(?i)numpy|scipy|scikit|torch", sentence)
            ):
                yield sentence


def table(file: Path, out: Path, chance: random.Random) -> tuple[str, str]:
    column, header = TABLES[file.stem]
    frame = pd.read_csv(file, header=0 if header else None)
    label = frame.columns[column] if isinstance(column, int) else column
    frame = frame.rename(columns={label: "label"}).rename(columns=str)
    common = frame["label"].map(frame["label"].value_counts()) >= 10
    frame = frame[common].sample(frac=1, random_state=chance.randrange(2**31))
    return _tables(frame, round(0.6 * len(frame)), out)


def _tables(frame: pd.DataFrame, known: int, out: Path) -> tuple[str, str]:
    out.mkdir(parents=True)
    files = str(out / "known.csv"), str(out / "fresh.csv")
    for file, own in zip(files, (frame[:known], frame[known:]), strict=True):
        own.to_csv(file, index=False)
    return files


def metaux(*words: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "metaux", *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"metaux {' '.join(map(str, words))}: {done.stderr}")
    return json.loads(done.stdout) if "--json" in words else done.stdout


def fresh_accuracy(run: Path, fresh: str) -> tuple[float, int]:
    found = metaux("evaluate", run, fresh, "--json")
    return float(found["accuracy"]), int(found["samples"])


def resnet18(known: str, fresh: str, seed: int) -> float:
    """Train timm's ResNet-18 as a user would by hand, and return its accuracy on the fresh images."""
    import timm
    import torch
    from torchvision import datasets, transforms

    torch.manual_seed(seed)
    sized = [transforms.Resize((64, 64)), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)]
    moved = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(64, padding=8)]
    learned = datasets.ImageFolder(known, transforms.Compose([sized[0], *moved, *sized[1:]]))
    model = timm.create_model("resnet18", num_classes=len(learned.classes))
    optimizer, epochs = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05), 40
    batches = torch.utils.data.DataLoader(learned, batch_size=32, shuffle=True, drop_last=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=epochs * len(batches))
    for _ in range(epochs):
        for images, labels in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        tested = torch.utils.data.DataLoader(datasets.ImageFolder(fresh, transforms.Compose(sized)), batch_size=100)
        return float(torch.cat([model(images).argmax(-1) == labels for images, labels in tested]).float().mean())


def measure(name: str, known: str, fresh: str, minutes: float, out: Path, seed: int) -> dict[str, object]:
    found = metaux("recommend", known, "--minutes", minutes, "--out", out / "recommend", "--json")
    accuracy, count = fresh_accuracy(Path(found["model"]), fresh)
    network, _ = fresh_accuracy(Path(found["network"]), fresh)
    interval = share_of_samples(np.repeat([1.0, 0.0], [round(accuracy * count), count - round(accuracy * count)]))
    others: dict[str, float] = {}
    rows: dict[str, tuple[str, ...]] = {
        method: ("--method", method) for method in ("single", *CLASSICAL.get(name, OF_TABLES))
    }
    if name == "photos":
        rows["from-scratch"] = FROM_SCRATCH
        others["timm-resnet18"] = resnet18(known, fresh, seed)
    for row, options in rows.items():
        metaux("train", known, *options, "--out", out / row, "--quiet")
        others[row], _ = fresh_accuracy(out / row, fresh)
    best = max(others.values())
    return {
        "data_set": name,
        "minutes": minutes,
        "handed_over": found["row"],
        "accuracy": accuracy,
        "low": interval.low,
        "high": interval.high,
        "fresh": count,
        "network": network,
        **{
            other.replace("-", "_"): others.get(other)
            for other in ("single", *OF_TABLES, "linear-probe", "from-scratch", "timm-resnet18")
        },
        "within": interval.high is not None and interval.high >= best,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path, help="folder of CIFAR-100's images; without it there are no photos")
    parser.add_argument("--tables", type=Path, help="folder of the tables; without it there are none")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each data set (default: 10)")
    parser.add_argument("--only", nargs="*", default=[], help="data sets, by name (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for data and runs")
    parser.add_argument("--record", type=Path, required=True, help="CSV file to write")
    arguments = parser.parse_args()
    made: dict[str, Any] = {}
    if arguments.cifar100:
        made["photos"] = lambda out, chance: photos(arguments.cifar100, out, chance)
    made["texts"] = texts
    for file in sorted(arguments.tables.glob("*.csv")) if arguments.tables else []:
        made[file.stem] = lambda out, chance, file=file: table(file, out, chance)
    rows: dict[str, Mapping[str, object]] = {}
    if arguments.record.is_file():
        recorded = pd.read_csv(arguments.record, dtype=str, keep_default_na=False)
        rows = {row["data_set"]: {str(name): cell for name, cell in row.items()} for row in recorded.to_dict("records")}
    for name, make in made.items():
        if name in rows or (arguments.only and name not in arguments.only):
            continue
        out = arguments.out / name
        if not (out / "data").is_dir():
            paths = make(out / "data", random.Random(f"{arguments.seed} {name}"))
            (out / "paths.json").write_text(json.dumps(paths))
        known, fresh = json.loads((out / "paths.json").read_text())
        rows[name] = measure(name, known, fresh, arguments.minutes, out, arguments.seed)
        print(rows[name], flush=True)
        arguments.record.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(arguments.record, to_csv(list(rows.values())))


if __name__ == "__main__":
    main()
