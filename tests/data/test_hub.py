import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metaux.data import hub
from metaux.data.reader import RawData, Request
from metaux.data.samples import LabelledData
from metaux.data.sources import load, load_for_evaluation
from metaux.data.texts import encode, learn_tokens
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.settings import Settings
from shell import metaux

datasets: Any = None  # imported by the first test, not by every process that collects this file
pytestmark = pytest.mark.filterwarnings("ignore")  # the package's own, about itself
FINE, COARSE = ["bus", "cat", "car", "dog"], ["vehicle", "animal"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    global datasets
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_CACHE_HOME", tmp_path / "cache")


def pixels(count: int, size: tuple[int, int] = (8, 8)) -> "np.ndarray[Any, Any]":
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def pictures(count: int = 16) -> Any:
    """Return images with a fine and a coarse label, as the hub has CIFAR-100."""
    from PIL import Image

    fine = [row % 4 for row in range(count)]
    return datasets.Dataset.from_dict(
        {"img": [Image.fromarray(x) for x in pixels(count)], "fine_label": fine, "coarse_label": [f % 2 for f in fine]},
        features=datasets.Features(
            {
                "img": datasets.Image(),
                "fine_label": datasets.ClassLabel(names=FINE),
                "coarse_label": datasets.ClassLabel(names=COARSE),
            }
        ),
    )


def texts(count: int = 20, labels: list[int] | None = None, **columns: Any) -> Any:
    found = [f"{('awful', 'lovely')[row % 2]} film {row}" for row in range(count)]
    names = datasets.ClassLabel(names=["neg", "pos"])
    table = {"text": found, "label": labels or [row % 2 for row in range(count)], **columns}
    return datasets.Dataset.from_dict(table).cast_column("label", names)


def read(path: Path, **settings: Any) -> LabelledData:
    return load(Settings(data=f"hf:{path}", **settings))


def read_raw(path: Path, **settings: Any) -> RawData:
    return hub.read(Request(Settings(f"hf:{path}", **settings)))


def test_images_with_coarse_and_fine_labels(tmp_path: Path) -> None:
    parts = {"train": pictures(), "validation": pictures(4), "test": pictures(8)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    data = read(tmp_path / "d")
    assert data.hierarchy.class_names == ("animal", "vehicle")
    assert data.hierarchy.subclass_names == ("cat", "dog", "bus", "car")
    assert data.validation is not None
    assert [len(part) for part in (data.train, data.validation, data.test)] == [16, 4, 8]
    assert data.train.inputs[0].equal(torch.from_numpy(pixels(16)).permute(0, 3, 1, 2))
    assert data.train.human is not None
    assert [data.hierarchy.subclass_names[flat] for flat in data.train.human] == FINE * 4
    assert (data.kind, data.augmentation) == ("image", "crop")
    assert read(tmp_path / "d", primary="fine_label", image_size=4).train.inputs[0].shape == (16, 3, 4, 4)


def test_an_image_folder(tmp_path: Path) -> None:
    from PIL import Image

    for part in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            (tmp_path / "d" / part / name).mkdir(parents=True)
            for row in range(4):
                Image.fromarray(np.full((6, 6), 100 * number + row, np.uint8)).save(
                    tmp_path / f"d/{part}/{name}/{row}.png"
                )
    data = read(tmp_path / "d")
    assert data.hierarchy.class_names == ("cat", "dog")
    assert (len(data.train), len(data.test)) == (8, 8)
    for image, label in zip(data.test.inputs[0], data.test.primary, strict=True):
        assert int(image.max()) // 100 == int(label)


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    (tmp_path / "d" / "data").mkdir(parents=True)
    texts().to_parquet(tmp_path / "d/data/train-00000-of-00001.parquet")
    texts(6).to_parquet(tmp_path / "d/data/test-00000-of-00001.parquet")
    data = read(tmp_path / "d")
    assert (data.kind, data.hierarchy.class_names, len(data.train), len(data.test)) == ("text", ("neg", "pos"), 20, 6)
    assert data.train.inputs[0].equal(encode(texts()["text"], learn_tokens(texts()["text"]))[0])


def test_texts_of_a_run_s_length(tmp_path: Path) -> None:
    texts().save_to_disk(tmp_path / "d")
    tokenizer = learn_tokens(texts()["text"])
    preprocessing = Preprocessing("text", 2, None, (), (), tokenizer=tokenizer)
    found, _ = load_for_evaluation(Settings(), ("neg", "pos"), preprocessing, f"hf:{tmp_path / 'd'}")
    assert found.inputs[0].equal(encode(texts()["text"], tokenizer, 2)[0])
    assert found.primary.tolist() == [0, 1] * 10


def test_a_part_whose_labels_were_never_published(tmp_path: Path) -> None:
    parts = {"train": texts(), "validation": texts(4), "test": texts(4, [-1] * 4), "unsupervised": texts(2)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    data = read(tmp_path / "d")
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 4, 4)
    notices = " ".join(data.notices)
    assert "the parts unsupervised are not used" in notices
    assert "the parts test have no labels and are not used" in notices


def test_parts_of_other_names_and_without_labels(tmp_path: Path) -> None:
    parts = {"training": texts(), "validation": texts(4), "dev": texts(6), "test": texts(4).remove_columns("label")}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    data = read(tmp_path / "d")
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 4, 4)  # a fifth of the first
    notices = " ".join(data.notices)
    assert "the parts dev are not used" in notices
    assert "the parts test have no labels and are not used" in notices


def test_columns_that_not_every_part_has(tmp_path: Path) -> None:
    rows = {"height": [1.0, 2.0] * 8, "age": [3.0, 4.0] * 8, "label": [0, 1] * 8}
    table = datasets.Dataset.from_dict(rows)
    datasets.DatasetDict({"train": table, "test": table.remove_columns("age")}).save_to_disk(tmp_path / "d")
    raw = read_raw(tmp_path / "d")
    assert not isinstance(raw.inputs, tuple | torch.Tensor)
    assert list(raw.inputs) == ["height"]
    assert "the columns age are not in every part, and are not used" in raw.notices


def test_tables(tmp_path: Path) -> None:
    columns = {"height": [float(row) for row in range(8)], "tame": [True, False] * 4, "colour": ["red", "blue"] * 4}
    table = datasets.Dataset.from_dict({**columns, "label": [3, 7] * 4})
    table.save_to_disk(tmp_path / "d")
    data, raw = read(tmp_path / "d"), read_raw(tmp_path / "d")
    assert [name for column in data.columns for name in column.features][:2] == ["height", "tame"]
    assert data.train.ids is not None
    heights = data.train.inputs[0][:, 0].tolist()
    assert heights == data.train.ids.tolist()
    assert data.train.inputs[0][:, 1].tolist() == [float(row % 2 == 0) for row in heights]
    assert raw.labels["label"] == ("3", "7") * 4
    assert read_raw(tmp_path / "d", primary="colour", auxiliary="weight").labels.keys() == {"label", "colour"}
    with pytest.raises(InputError, match="expected images, found a table in"):
        read(tmp_path / "d", image_size=4)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a", "b"], "stars": [1, 2]}, "expected a column of labels .* found text, stars; name one"),
        ({"text": ["a", "b"], "label": [0, None]}, "expected a label in column 'label' of .*, found none in row 1"),
        ({"text": ["a", "b"], "label": [0.5, 1.5]}, "expected classes in column 'label'"),
        ({"x": [[1], [2]], "a": [1, 2], "label": [0, 1]}, "expected images, texts, numbers or words in column 'x'"),
    ],
)
def test_what_can_not_be_learned_from(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    datasets.Dataset.from_dict(columns).save_to_disk(tmp_path / "d")
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "d")
    assert "\n" not in str(caught.value)


def test_a_missing_image(tmp_path: Path) -> None:
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    datasets.Dataset.from_dict({"img": [None, None], "label": [0, 1]}, features=features).save_to_disk(tmp_path / "d")
    with pytest.raises(InputError, match=r"expected an image in hf:.*, row 0 of train, found none"):
        read(tmp_path / "d")
    broken = [{"bytes": b"no image", "path": None}] * 2
    datasets.Dataset.from_dict({"img": broken, "label": [0, 1]}, features=features).save_to_disk(tmp_path / "e")
    with pytest.raises(
        InputError, match=r"2 of 2 files that can't be read: 'hf:.*, row 0 of train' that can't be read as one"
    ):
        read(tmp_path / "e")


def test_damaged_folders(tmp_path: Path) -> None:
    texts().save_to_disk(tmp_path / "d")
    [file] = (tmp_path / "d").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(InputError, match=r"expected a data set at 'hf:.*', found none that can be loaded"):
        read(tmp_path / "d")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found none that can be loaded") as caught:
        read(tmp_path / "empty")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="expected a name or a folder after hf:, found nothing"):
        load(Settings(data="hf:"))


def test_a_hub_that_can_not_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    waited = list[float]()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # no server is there
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(InputError, match="expected a data set 'metaux/none' on the Hugging Face hub or a folder"):
        load(Settings(data="hf:metaux/none"))
    assert sum(waited) < 15


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)  # an import of it fails
    said = metaux("train", "hf:x")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "expected the package datasets to read 'hf:x', found none; pip install 'metaux[hub]'" in said.err
    assert list(tmp_path.iterdir()) == []


def test_labels_that_are_numbers_may_be_minus_one(tmp_path: Path) -> None:
    table = {"a": [float(row) for row in range(20)], "label": [-1, 1] * 10, "risk_label": [0.5] * 20}
    datasets.Dataset.from_dict(table).save_to_disk(tmp_path / "d")
    raw = read_raw(tmp_path / "d")
    assert raw.labels == {"label": ("-1", "1") * 10}
    assert not isinstance(raw.inputs, tuple)
    assert tuple(raw.inputs.shape) == (20, 2)


def test_lists_are_text_or_images(tmp_path: Path) -> None:
    words = [f"{('awful', 'lovely')[row % 2]} film" for row in range(20)]
    rows = {"tokens": [text.split() for text in words], "label": [row % 2 for row in range(20)], "n": list(range(20))}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "d")
    data = read(tmp_path / "d")
    assert (data.kind, data.texts) == ("text", tuple(words))
    assert "the texts are in column 'tokens'; not used: 'n'" in data.notices
    values = np.arange(20 * 4 * 4, dtype=np.uint8).reshape(20, 4, 4)
    features = datasets.Features({"x": datasets.Array2D((4, 4), "uint8"), "label": datasets.Value("int64")})
    table = datasets.Dataset.from_dict({"x": list(values), "label": rows["label"]}, features=features)
    table.save_to_disk(tmp_path / "e")
    found = read_raw(tmp_path / "e").inputs
    assert isinstance(found, torch.Tensor)
    assert found[:, 0].numpy().tolist() == values.tolist()


def test_arrays_have_the_range_of_the_run(tmp_path: Path) -> None:
    """Dark images, up to 1 of 255, are what they are to a run that has learned the range."""
    features = datasets.Features({"x": datasets.Array2D((4, 4), "float32"), "label": datasets.Value("int64")})
    bright = np.linspace(0, 255, 20, dtype=np.float32).round()[:, None, None] * np.ones((4, 4), np.float32)
    for name, values in (("bright", bright), ("dark", bright > 200)):
        rows = {"x": list(values.astype(np.float32)), "label": [row % 2 for row in range(20)]}
        datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / name)
    data = read(tmp_path / "bright")
    fitted = Preprocessing.fit(data, "fixed")
    assert fitted.pixel_range == (0, 255)
    dark, _ = load_for_evaluation(Settings(), ("0", "1"), fitted, f"hf:{tmp_path / 'dark'}")
    assert dark.inputs[0].unique().tolist() == [0, 1]
