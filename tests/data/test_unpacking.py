"""Input that grows when it is unpacked: refused by what it claims, before anything is allocated."""

import io
import shutil
import time
import warnings
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from memory import little_memory

from metaux.data.classes import assign, slots
from metaux.data.levels import Levels
from metaux.data.sources import load
from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.networks.weights import read_weights
from metaux.settings import Settings
from metaux.training.checkpoint import Checkpoint
from shell import done, metaux
from written import write_animals


def npz(path: Path, members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Settings:
    """Write an .npz file of these members, as bytes."""
    with zipfile.ZipFile(path, "w", packing) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return Settings(data=str(path))


def npy(shape: tuple[int, ...], kind: str = "<f8", content: bytes = b"") -> bytes:
    """Return an array whose header claims a shape, whatever its content."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


GOOD = {"x": npy((20, 2), content=np.arange(40.0).tobytes()), "y": npy((20,), "<i8", (np.arange(20) % 2).tobytes())}
# Made when they are needed: two are large.
CLAIMS: dict[str, tuple[Callable[[], dict[str, bytes]], str]] = {
    "a terabyte": (
        lambda: {"x": npy((2**37, 1))},
        "expected arrays of at most 256 MiB together in .* found 1,048,576 MiB",
    ),
    "a terabyte of labels": (lambda: {"y": npy((2**38,), "<U1")}, "found 1,048,576 MiB; leave samples out"),
    "more than there are numbers for": (
        lambda: {"x": npy((10**30, 10**30))},
        "that isn't one .an array of float64 and shape",
    ),
    "less than nothing": (lambda: {"x": npy((-4, 2))}, "that isn't one .an array of float64 and shape"),
    "more than is there": (lambda: {"x": npy((4000, 2))}, "that isn't one .*cut off"),
    "labels of nothing": (lambda: {"y": npy((10**9,), "<U0")}, "that isn't one .an array of <U0"),
    "much of nothing": (lambda: {"x": npy((10**9, 0)), "y": npy((10**9, 0))}, r"found \(1000000000, 0\); reshape it"),
    "a bomb": (lambda: {"x": npy((2**25 + 2**20, 1), content=b"\0" * (2**28 + 2**23))}, "found 264 MiB"),
    "a bomb in two": (lambda: dict.fromkeys(("x", "y"), npy((2**24, 1), content=b"\0" * 2**27)), "found 256 MiB"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_arrays_are_refused_by_their_headers(name: str, tmp_path: Path) -> None:
    changes, message = CLAIMS[name]
    settings = npz(tmp_path / "a.npz", {**GOOD, **changes()})
    with little_memory(), pytest.raises(InputError, match=message) as caught:
        load(settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", "<>")
def test_text_of_characters_that_are_none(order: str, tmp_path: Path) -> None:
    for code, message in ((0x10FFFF, ""), (0x110000, "that isn't one .text with characters that are none")):
        codes = np.array([code, ord("a")] * 10, f"{order}u4")
        settings = npz(tmp_path / "a.npz", {**GOOD, "y": npy((20,), f"{order}U1", codes.tobytes())})
        with pytest.raises(InputError, match=message) if message else nullcontext():
            load(settings)


@pytest.fixture(scope="module")
def gigabyte(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a megabyte, whose member is a gigabyte."""
    path = tmp_path_factory.mktemp("packed") / "gigabyte.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("archive/data/9", "w") as opened:
        for _ in range(2**8):
            opened.write(bytes(2**22))
    assert path.stat().st_size < 2**21
    return path


def test_archives_that_grow(gigabyte: Path, tmp_path: Path) -> None:
    """What torch and skops wrote is not packed, though they read what is."""

    def packed(path: Path, content: dict[str, bytes]) -> Path:
        shutil.copy(gigabyte, path)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
            for name, own in content.items():
                file.writestr(name, own)
        return path

    torch.save({"network": torch.zeros(4)}, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth") as file:
        content = {name: file.read(name) for name in file.namelist()}
    bomb = packed(tmp_path / "checkpoint.pt", content)
    with little_memory(), pytest.raises(InputError, match=r"expected this run's checkpoint .* found something else"):
        Checkpoint(bomb, "").read()
    with pytest.raises(ValueError, match="an archive that unpacks to 1,073,7"):
        read_weights(bomb)
    assert "network" in read_weights(tmp_path / "w.pth")
    out = tmp_path / "run"
    done("train", write_animals(tmp_path / "t.csv"), "--method", "logistic-regression", "--out", out)
    (out / "manifest.json").unlink()
    with zipfile.ZipFile(out / "classifier.skops") as file:
        content = {name: file.read(name) for name in file.namelist()}
    packed(out / "classifier.skops", content)
    assert "that holds no model (an archive that unpacks to 1,07" in metaux("evaluate", out).err


def test_tables_that_grow(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    part = pyarrow.table(
        {"a": pyarrow.nulls(10**6, pyarrow.float64()), "label": pyarrow.nulls(10**6, pyarrow.string())}
    )
    with parquet.ParquetWriter(tmp_path / "t.parquet", part.schema) as file:
        for _ in range(20):
            file.write_table(part)
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w", zipfile.ZIP_DEFLATED) as file, file.open("xl/x.xml", "w") as opened:
        for _ in range(2**7):
            opened.write(bytes(2**22))
    for name, found in (("t.parquet", "305 MiB"), ("t.xlsx", "512 MiB")):
        with little_memory(), pytest.raises(InputError, match=f"at most 256 MiB .* found {found}; .* save it as CSV"):
            load(Settings(data=str(tmp_path / name)))


def test_arrays_that_nobody_asked_for_stay_packed(tmp_path: Path) -> None:
    members = {**GOOD, "z": npy((2**25,), content=b"\0" * 2**28), "other": npy((2**40,)), "program": b"\x80\x04."}
    settings = npz(tmp_path / "a.npz", members)
    with little_memory():
        data = load(settings)
    assert data.notices[0] == "the arrays z, other, program are not used"


def test_a_file_that_numpy_does_not_write(tmp_path: Path) -> None:
    endless = GOOD["x"].replace(b"}", b"(")  # for Python's own tokens, which NumPy reads headers with
    with pytest.raises(InputError, match="that isn't one"):
        load(npz(tmp_path / "a.npz", {**GOOD, "x": endless}))
    with pytest.raises(InputError, match="x packed as NumPy doesn't"):
        load(npz(tmp_path / "a.npz", GOOD, zipfile.ZIP_LZMA))
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "b.npz", "w") as file:
        warnings.simplefilter("ignore")  # zipfile's, on the second of one name
        for name in ("x", "x", "y"):
            file.writestr(f"{name}.npy", GOOD[name])
    with pytest.raises(InputError, match="two arrays of one name"):
        load(Settings(data=str(tmp_path / "b.npz")))


def test_large_arrays_may_be_packed_well(tmp_path: Path) -> None:
    """Black and white images as float64 take 25 times the space of their file, and are read."""
    random = np.random.default_rng(0)
    x = random.integers(0, 2, (2000, 28, 28)).astype(float)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.arange(2000) % 2)
    assert len(load(Settings(data=str(tmp_path / "a.npz"))).train) == 1600


def write_levels(path: Path, classes: int) -> Path:
    """Write a hierarchy of so many classes of two levels, two in each."""
    if path.suffix == ".csv":
        path.write_text("kind,breed\n" + "".join(f"k{number // 2},b{number}\n" for number in range(classes)))
    else:
        rows = (f"  k{number}: [b{2 * number}, b{2 * number + 1}]\n" for number in range(classes // 2))
        path.write_text("levels: [kind, breed]\nclasses:\n" + "".join(rows))
    return path


@pytest.mark.parametrize("ending", ["csv", "yaml"])
def test_twenty_thousand_classes_take_as_long_as_they_are_many(ending: str, tmp_path: Path) -> None:
    def seconds(classes: int) -> float:
        file = write_levels(tmp_path / f"{classes}.{ending}", classes)
        labels = [f"b{number}" for number in range(classes)] * 2
        start = time.process_time()
        found = assign(Levels.read(file), labels)
        Hierarchy.from_labels([f"k{number // 2}" for number in range(classes)] * 2, labels)
        taken = time.process_time() - start
        assert found.hierarchy.slots == (2,) * (classes // 2)
        return taken

    seconds(500)
    assert seconds(20_000) < 25 * seconds(2_000) + 1  # ten times as many; the square would take 100 times as long


def test_hierarchies_that_grow(tmp_path: Path) -> None:
    (tmp_path / "h.yaml").write_text("levels: [a]\nclasses: " + "[" * 2000 + "x" + "]" * 2000)
    with pytest.raises(InputError, match=r"expected YAML of at most 50 levels, found more; .* \(in '.*h.yaml'\)"):
        load(Settings(hierarchy=str(tmp_path / "h.yaml")))
    (tmp_path / "c.yaml").write_text("epochs: 3\nepochs: 5\n")
    assert "found 'epochs' twice" in metaux("train", "digits", "--config", tmp_path / "c.yaml").err
    assert Levels.from_columns({"y": ["9" * 5000, "10", "9"]}).rows[:2] == (("9",), ("10",))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--threads", 1_000_000], "expected threads of at most 1,024, found 1,000,000; correct --threads"),
        (["--processes", 1_000_000], "expected processes of at most 1,024, found 1,000,000; correct --processes"),
        (["--subclasses", 1_000_000], "at most 10,000 sub-classes of a class and 1,000,000 of all classes, found"),
    ],
)
def test_counts_that_no_machine_has_room_for(words: list[object], message: str, tmp_path: Path) -> None:
    result = metaux("train", "digits", *words, "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert message in result.err


def test_counts_of_subclasses_that_have_to_work() -> None:
    assert Hierarchy(slots((1000,), 100)).size == 100_000
    assert slots((10_000,), 2) == [10_000] * 2
    with pytest.raises(InputError, match="found 10,000 and 1,010,000; correct --subclasses"):
        slots((10_000,), 101)
