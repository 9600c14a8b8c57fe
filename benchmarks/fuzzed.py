"""The readers that `benchmarks/fuzz.py` gives changed files to, and the valid files that it changes.

It is a little longer than 300 lines, since what writes the files of a kind and what reads them stand side by side.
"""

import io
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from metaux import MetauxClassifier
from metaux.cli.labels import Labels
from metaux.cli.main import main
from metaux.data import texts
from metaux.data.levels import Levels
from metaux.data.samples import LabelledData, Samples
from metaux.data.sources import load, read_unlabelled
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.export.export import export
from metaux.files import to_csv, write_text_atomic
from metaux.networks.backbones import make_backbone
from metaux.report.reporting import read_recorded, write_report
from metaux.runs import launch
from metaux.runs.classical import read_model
from metaux.runs.model import read_description
from metaux.runs.plan import make_plan
from metaux.runs.record import Run, is_finished
from metaux.runs.store import read_settings
from metaux.runs.trial import Trial
from metaux.settings import Settings, as_words, to_mapping
from metaux.training.checkpoint import Checkpoint
from metaux.training.devices import device_of, make_fabric
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import fit


class Reader(NamedTuple):
    """A kind of file: how folders of valid ones are made, which of their files are changed, and what reads a folder.

    `write` is given an empty folder, and makes one in it for each seed. Of a reader that takes long, one in `share`
    copies is read.
    """

    name: str
    write: Callable[[Path], None]
    pattern: str
    read: Callable[[Path], None]
    share: int = 1


def only(folder: Path) -> Path:
    """Return the file of a folder that has one."""
    [file] = folder.iterdir()
    return file


def placed(folder: Path, name: str) -> Path:
    """Return where a file is to be written, in a folder of its own."""
    place = folder / f"{len([*folder.iterdir()])}"
    place.mkdir()
    return place / name


# Hierarchies.


def write_hierarchies(folder: Path) -> None:
    names, rows = Levels.cifar100().names, Levels.cifar100().rows
    write_text_atomic(placed(folder, "h.csv"), to_csv([dict(zip(names, row, strict=True)) for row in rows]))
    pets = {"cat": ["tabby", "siamese"], "dog": ["pug", "boxer", "hound"], "9": ["10", "-3"]}
    for levels, classes in (
        (["kind", "breed"], pets),
        (["life", "kind", "breed"], {"animal": pets, "plant": {"a": "b"}}),
    ):
        text = yaml.safe_dump({"levels": levels, "classes": classes})
        write_text_atomic(placed(folder, "h.yaml"), text)
        write_text_atomic(
            placed(folder, "h.yml"),
            yaml.safe_dump({"levels": levels, "classes": classes}, None, default_flow_style=True),
        )


def read_hierarchy(folder: Path) -> None:
    levels = Levels.read(only(folder))
    levels.level_of(levels.classes(levels.names[-1])[:1])
    levels.hierarchy(levels.names[0], levels.names[-1])


# Tables.


def rows_of_a_table(count: int) -> list[dict[str, object]]:
    random, colours = np.random.default_rng(0), ("grey", "brown", "=1+1", "naïve")
    return [
        {
            "height": None if row == 3 else f"{random.normal(30, 9):.2f}",
            "price": f"{random.integers(1000, 9000):,} €",
            "colour": colours[row % 3],
            "born": f"{row % 28 + 1}/{row % 12 + 1}/2020",
            "tame": ("yes", "no")[row % 2],
            "breed_label": ("tabby", "siamese", "pug", "boxer")[row % 4],
            "label": ("cat", "dog")[row % 4 // 2],
        }
        for row in range(count)
    ]


def write_tables(folder: Path) -> None:
    rows = rows_of_a_table(40)
    parts = [{**row, "split": ("train", "test")[n < 8], "group": n // 8} for n, row in enumerate(rows)]
    words = ["the", "room", "was", "bright", "and", "the", "meal", "was", "cold", "but", "a", "garden", "lovely"]
    texts = [
        {
            "text": " ".join(words[n % 5 : n % 5 + 6 + n % 3]),
            "label": ("good", "bad")[n % 2],
            "thing": f"{n % 2} {words[n % 3]}",
        }
        for n in range(30)
    ]
    for lines in (rows, parts, texts, [{name: row[name] for name in ("height", "label")} for row in rows]):
        write_text_atomic(placed(folder, "t.csv"), to_csv(lines))
    write_text_atomic(placed(folder, "t.tsv"), to_csv(parts).replace(",", "\t"))
    write_text_atomic(placed(folder, "t.csv"), "sep=;\n" + to_csv(rows).replace(",", ";"))


def write_spreadsheets(folder: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(rows_of_a_table(20))
    frame.to_parquet(placed(folder, "t.parquet"))
    frame["born"], frame["tame"] = pd.date_range("2020-01-01", periods=len(frame)), frame["tame"] == "yes"
    frame.to_parquet(placed(folder, "t.parquet"))
    frame.to_excel(placed(folder, "t.xlsx"), index=False)


def read_data(folder: Path) -> None:
    """Read it to train on, and, where that goes well, again as inputs of a run that was trained on it."""
    file = only(folder)
    settings = Settings(data=str(file))
    data = load(settings)
    preprocessing = Preprocessing.fit(data, "data")
    preprocessing(data.test.inputs)
    try:
        found = read_unlabelled([file], preprocessing, settings)
    except InputError:
        return  # of a folder of images
    preprocessing(found.inputs)


# Arrays and images.


def write_arrays(folder: Path) -> None:
    random = np.random.default_rng(0)
    y, table = np.arange(40) % 2, random.normal(size=(40, 3))
    images = random.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    names = np.array(["cat", "dog"])[y]
    np.savez(placed(folder, "a.npz"), x=table, y=y)
    np.savez(
        placed(folder, "a.npz"), x=images, y=names, y_fine=np.char.add(names, (np.arange(40) // 2 % 2).astype(str))
    )
    np.savez_compressed(placed(folder, "a.npz"), x=images[..., None] / 255, y=y, y_given=np.arange(40) % 3, other=table)
    np.savez_compressed(
        placed(folder, "a.npz"), x_train=table.astype(np.float32), y_train=y, x_test=table[:4], y_test=y[:4]
    )


def write_images(folder: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for suffix, options in (
        *(("png", {}), ("jpg", {}), ("gif", {}), ("bmp", {}), ("webp", {}), ("tif", {"compression": "tiff_lzw"})),
        *(("tif", {}), ("ppm", {}), ("ico", {}), ("tga", {}), ("pcx", {}), ("jp2", {}), ("qoi", {}), ("sgi", {})),
    ):
        place = placed(folder, "cat")
        for name in ("cat", "dog"):
            for number in range(2):
                file = place.parent / name / f"{number}.{suffix}"
                file.parent.mkdir(exist_ok=True)
                pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                exif = Image.Exif()
                exif[0x0112] = 6
                own: dict[str, Any] = {**options, **({"exif": exif} if suffix in ("png", "jpg", "webp") else {})}
                Image.fromarray(pixels).save(file, **own)


def read_image_folder(folder: Path) -> None:
    load(Settings(data=str(folder)))


# Settings.


def write_setting_files(folder: Path) -> None:
    for extra, own in (
        ({}, Settings()),
        (
            {"method": "maxl", "seed": 3},
            Settings("t.npz", epochs=5, subclasses=(2, 3), learning_rate=1e-3, train_size=9),
        ),
        ({"methods": ["single", "maxl"], "seeds": 3}, Settings("t.csv", ignore=("a",), pixel_range=(0.0, 9.5))),
    ):
        write_text_atomic(
            placed(folder, "settings.yaml"), yaml.safe_dump({**extra, **to_mapping(own)}, sort_keys=False)
        )
    write_text_atomic(placed(folder, "settings.yaml"), "# by hand\nepochs: 30\ndata: 'iris'\nlearning_rate: 1e-3\n")


@cache
def small_data() -> LabelledData:
    return load(Settings(data="iris"))


def read_setting_file(folder: Path) -> None:
    """Read settings, and make what a run is made of; the data, the backbone and other files are not those named."""
    found, _ = read_settings(only(folder))
    device_of(found)
    as_words(to_mapping(found))
    mine = Settings(data="iris", backbone="mlp")
    places = ("data", "root", "backbone", "pretrained", "weights", "hierarchy", "embedding", "features", "labels")
    settings = replace(found, **{name: getattr(mine, name) for name in places})
    make_plan(Trial(settings, "single", 0), small_data())


# Folders of runs, their weights and checkpoints.


def trained(place: Path, *words: object) -> None:
    with redirect_stdout(io.StringIO()):
        main([*map(str, words), "--epochs", "2", "--device", "cpu", "--out", str(place)])


def write_runs(folder: Path) -> None:
    """Train on a table, images and texts; save a classifier."""
    files = folder.with_name(f"{folder.name}-data")
    for write in (write_arrays, write_tables):
        (files / write.__name__).mkdir(parents=True)
        write(files / write.__name__)
    table, images = (files / "write_arrays" / place / "a.npz" for place in "01")
    csv, texts = (files / "write_tables" / place / "t.csv" for place in "02")
    trained(folder / "0", "train", table, "--method", "maxl", "--backbone", "mlp", "--subclasses", "2")
    trained(folder / "1", "train", images, "--method", "human", "--image-size", "8")
    trained(folder / "2", "train", csv, "--method", "uniform", "--backbone", "mlp")
    trained(folder / "3", "train", texts, "--method", "single")
    trained(folder / "4", "train", images, "--method", "transformation", "--backbone", "mlp")
    with np.load(table) as arrays:
        classifier = MetauxClassifier("mlp", method="kmeans", subclasses=2, epochs=1, random_state=0, device="cpu")
        classifier.fit(arrays["x"], arrays["y"]).save(folder / "5")
    shutil.rmtree(files)


def write_classical(folder: Path) -> None:
    files = folder.with_name(f"{folder.name}-data")
    files.mkdir()
    write_tables(files)
    for number, (data, method) in enumerate((("0", "logistic-regression"), ("3", "gradient-boosting"))):
        trial = Trial(Settings(data=str(files / data / "t.csv")), method, 0)
        launch.run(trial, load(trial.settings), folder / f"{number}", lambda _: None)
    shutil.rmtree(files)


def read_run(folder: Path) -> None:
    """Read all that a folder says, and predict with its network."""
    if not is_finished(folder):
        classifier = MetauxClassifier.load(folder)
        classifier.predict(np.zeros((2, classifier.n_features_in_)))
        return
    run = Run.read(folder)
    _, preprocessing, shape = read_description(run)
    for name in run.outputs():
        run.output(name)
    model = read_model(run, "cpu")
    if preprocessing.kind == "text":
        texts.encode(["a bright room", "\0"], preprocessing.tokenizer, preprocessing.channels)
    kind = torch.int64 if preprocessing.kind == "text" else torch.uint8 if preprocessing.kind == "image" else None
    model.predict(Samples((torch.zeros(2, *shape, dtype=kind),), torch.zeros(2, dtype=torch.int64)))
    read_recorded(folder)
    if "train_labels" in run.outputs():
        Labels(folder, folder / "labels.csv").run()


def read_to_report(folder: Path) -> None:
    """Write the report of a run, and export its network."""
    if is_finished(folder):
        write_report(read_recorded(folder)[0], folder, no_data)
        export(folder, "safetensors")


def no_data() -> LabelledData:
    raise InputError("expected the data, found that it isn't looked for here")


def learner() -> Learner:
    settings = Settings(data="iris", backbone="mlp", subclasses=(2,), epochs=2)
    return make_learner(make_plan(Trial(settings, "maxl", 0), small_data()), make_fabric(settings))


def write_checkpoints(folder: Path) -> None:
    """Write those of a run after its first epoch, and of one whose labels are being prepared."""
    made = learner()
    kept = Checkpoint(placed(folder, "checkpoint.pt"), small_data().digest)
    kept.save(made, fit(made).records[:1], [])
    begun = Checkpoint(placed(folder, "checkpoint.pt"), small_data().digest)
    begun.keep(made.plan, made.source.state_dict(), 0.5)


def read_checkpoint(folder: Path) -> None:
    """Go on with the run to its end."""
    checkpoint = Checkpoint(only(folder), small_data().digest)
    checkpoint.read()
    fit(learner(), checkpoint)


def write_published(folder: Path) -> None:
    from safetensors.torch import save_file

    network = make_backbone("torchvision:squeezenet1_1", (3, 32, 32))
    torch.save(network.state_dict(), placed(folder, "w.pth"))
    save_file(network.state_dict(), placed(folder, "w.safetensors"))


READERS = (
    Reader("hierarchy", write_hierarchies, "*", read_hierarchy),
    Reader("table", write_tables, "*", read_data),
    Reader("spreadsheet", write_spreadsheets, "*", read_data),
    Reader("npz", write_arrays, "*", read_data),
    Reader("images", write_images, "*/*", read_image_folder),
    Reader("settings", write_setting_files, "*", read_setting_file),
    Reader("run folder", write_runs, "*.[jy]*", read_run),
    Reader("report", write_runs, "*.[jsy]*", read_to_report, share=10),
    Reader("weights and outputs", write_runs, "*.safetensors", read_run),
    Reader("classical model", write_classical, "*.skops", read_run),
    Reader("checkpoint", write_checkpoints, "*", read_checkpoint),
)
