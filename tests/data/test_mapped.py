"""What is too large for memory lies in a file: nothing but the place differs."""

import ctypes
import mmap
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import class_folders, picture, save
from PIL import Image
from published import describe, write_imagenet32
from torch import Tensor

from metaux import allocation
from metaux.data import images
from metaux.data.mapped import fetch, room, rows_of
from metaux.data.reader import RawData
from metaux.data.samples import LabelledData, Samples
from metaux.data.sources import load, load_for_evaluation, read_unlabelled
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.estimator.classifier import MetauxClassifier
from metaux.runs.launch import run
from metaux.runs.plan import make_plan
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.checkpoint import Checkpoint
from metaux.training.devices import make_fabric
from metaux.training.features import of_pixels
from metaux.training.learner import make_learner
from metaux.training.loader import Loader
from shell import PATIENCE, assert_refused, metaux

NOTICE = "more than a quarter of the free memory: they lie in a temporary file in '{}'"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let everything lie in files in this folder, in which nothing is ever left, and no name is ever seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(allocation, "SHARE_OF_MEMORY", 0.0)
    yield folder
    assert not [*folder.glob("metaux-*")]


def in_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(allocation, "SHARE_OF_MEMORY", 0.25)


def mapped_files(folder: Path) -> int:
    """Return how many files of a folder this process has mapped."""
    return sum(str(folder) in line for line in Path("/proc/self/maps").read_text().splitlines())


def folder_of_images(root: Path) -> Settings:
    class_folders(root, {"cat": 30, "dog": 20, "owl": 15})
    return Settings(data=str(root), backbone="mlp", epochs=2, batch_size=16)


def test_room_is_like_any_tensor_and_goes_with_it(place: Path) -> None:
    found = room("images", (7, 2, 3))
    assert NOTICE.format(place) in found.notices[0]
    assert mapped_files(place) == 1
    values = torch.arange(42, dtype=torch.uint8).view(7, 2, 3)
    tensor, _ = found[0].copy_(values), found.notices
    assert tensor.equal(values)
    assert tensor[torch.tensor([5, 0])].equal(values[[5, 0]])
    part = tensor[3:]
    del tensor, found
    assert part.equal(values[3:])
    assert mapped_files(place) == 1
    del part
    assert mapped_files(place) == 0


def test_what_is_small_lies_in_memory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory(monkeypatch)
    found = room("images", (7, 2, 3))
    assert (found.notices, mapped_files(place)) == ((), 0)


def test_rows_are_copied_in_parts(place: Path) -> None:
    values = torch.randint(256, (1300, 2), dtype=torch.uint8)
    rows = torch.randperm(1300)[:1201]
    found, notices = rows_of(values, rows)
    assert found.equal(values[rows])
    assert mapped_files(place) == 1
    assert [notice.partition(" take ")[0] for notice in notices] == ["the samples that are left"]
    assert rows_of(values, rows[:0]).tensor.shape == (0, 2)


def test_samples_that_are_left_say_where_they_lie(place: Path) -> None:
    images = room("images", (4, 3, 2, 2))
    raw = RawData(images.tensor, "image", {"label": tuple("abab")}, notices=images.notices)
    left = raw.take([0, 3])
    assert mapped_files(place) == 2
    assert [notice.partition(" take ")[0] for notice in left.notices] == ["the images", "the samples that are left"]


def kept_in_memory(tensor: Tensor) -> list[int]:
    """Return which pages of a mapped tensor the system keeps in memory."""
    pages = (ctypes.c_ubyte * -(-tensor.nbytes // mmap.PAGESIZE))()
    ctypes.CDLL(None).mincore(ctypes.c_void_p(tensor.data_ptr()), ctypes.c_size_t(tensor.nbytes), pages)
    return [page for page, kept in enumerate(pages) if kept & 1]


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="only there a file can be taken out of memory")
def test_rows_are_fetched_before_they_are_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, files = tempfile.TemporaryFile, list[int]()

    def make(**options: Any) -> Any:
        file = made(**options)
        files.append(os.dup(file.fileno()))
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", make)
    row = 3 * mmap.PAGESIZE // 2
    tensor = room("images", (500, row)).tensor.fill_(7)
    [file] = files
    ctypes.CDLL(None).madvise(ctypes.c_void_p(tensor.data_ptr()), ctypes.c_size_t(tensor.nbytes), mmap.MADV_DONTNEED)
    os.fdatasync(file)  # the tests do without fsync
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
    if kept_in_memory(tensor):
        pytest.skip("the folder for temporary files lies in memory")
    fetch(tensor[:499], torch.tensor([400, 100]))
    wanted = {row * number // mmap.PAGESIZE + next_page for number in (100, 400) for next_page in (0, 1)}
    deadline = time.monotonic() + PATIENCE
    while not wanted <= set(kept_in_memory(tensor)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(kept_in_memory(tensor)) < 100
    assert tensor[[100, 400]].eq(7).all()


def test_a_training_asks_for_the_next_batch(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = folder_of_images(tmp_path / "data")
    asked = list[Tensor]()
    monkeypatch.setattr(Loader, "expect", lambda _, rows: asked.append(rows))
    fabric = make_fabric(settings)
    batches = make_learner(make_plan(Trial(settings, "single", 0), load(settings), fabric.device), fabric).batches
    order = batches.order(0)
    for position in range(len(order.train)):
        batches.training(order, position)
    assert len(order.train) > 2
    assert all(found is expected for found, expected in zip(asked, order.train[1:], strict=True))


def test_var_tmp_unless_another_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(allocation, "SHARE_OF_MEMORY", 0.0)
    assert NOTICE.format("/var/tmp") in room("images", (1,)).notices[0]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert NOTICE.format(tmp_path) in room("images", (1,)).notices[0]


def test_a_disk_that_is_too_small_is_seen_before_an_image_is_decoded(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = folder_of_images(tmp_path / "data")
    usage = namedtuple("usage", "total used free")
    free = 7000  # the 65 images take 7020 bytes
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - free, free))
    with monkeypatch.context() as patch:
        patch.setattr(images, "decode", lambda *_: pytest.fail("decoded"))
        result = metaux("train", settings.data, "--out", tmp_path / "run")
    assert_refused(result, "of disk for images, which are too large for the memory", f"free in '{place}'", "TMPDIR")
    assert not (tmp_path / "run").exists()
    free = 7900
    assert len(load(settings).train) == 52


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="only there the disk is taken at once")
def test_a_disk_that_is_full_after_all(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**62, 0, 2**62))
    with pytest.raises(InputError, match=f"of disk for images, .* a file in '{place}' can't be made .*TMPDIR"):
        room("images", (2**60,))  # more than a file of any file system may have


def test_a_folder_that_is_not_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place / "gone"))
    with pytest.raises(InputError, match=r"a file in '.*gone' can't be made \(.*\); name another folder"):
        room("images", (1,))


def recorded(settings: Settings, method: str, data: LabelledData, folder: Path) -> Run:
    run(Trial(settings, method, 0), data, folder)
    return Run.read(folder)


@pytest.mark.parametrize("method", ["single", "maxl", "kmeans", "transformation"])
@pytest.mark.parametrize("protocol", ["tuned", "iclr"])
def test_the_same_bits_as_in_memory(
    method: str, protocol: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = folder_of_images(tmp_path / "data")
    settings = Settings(**{**vars(settings), "protocol": protocol, "subclasses": (2,), "learning_rate": 0.01})
    data = load(settings)
    assert any(NOTICE.format(place) in notice for notice in data.notices)
    found = recorded(settings, method, data, tmp_path / "mapped")
    in_memory(monkeypatch)
    plain = load(settings)
    assert not any("temporary file" in notice for notice in plain.notices)
    expected = recorded(settings, method, plain, tmp_path / "in-memory")
    assert found.result["data"] == expected.result["data"]
    for name in ("weights.safetensors", "outputs.safetensors", "settings.yaml"):
        assert (found.folder / name).read_bytes() == (expected.folder / name).read_bytes(), name


def test_taking_samples_copies_no_pixels(place: Path, tmp_path: Path) -> None:
    data = load(folder_of_images(tmp_path / "data"))
    assert mapped_files(place) == 1
    part = data.train.take(torch.tensor([3, 1, 2])).take(torch.tensor([2, 0]))
    assert part.stored[0] is data.train.stored[0] is data.test.stored[0]
    assert part.inputs[0].equal(data.train.inputs[0][[2, 3]])
    assert part.at(torch.tensor([1]))[0].equal(data.train.inputs[0][[3]])
    assert part.shapes == ((3, 6, 6),)
    assert mapped_files(place) == 1


def test_the_digest_is_that_of_the_values(place: Path, tmp_path: Path) -> None:
    data = load(folder_of_images(tmp_path / "data"))

    def copied(samples: Samples) -> Samples:
        return Samples(samples.inputs, samples.primary, samples.human, samples.names, samples.ids, samples.groups)

    plain = LabelledData(copied(data.train), copied(data.test), data.hierarchy, "image")
    assert plain.digest == data.digest
    assert Preprocessing.fit(plain, "data") == Preprocessing.fit(data, "data")
    other = copied(data.train)
    other.stored[0][-1, -1, -1, -1] ^= 1
    assert LabelledData(other, plain.test, data.hierarchy, "image").digest != data.digest


def test_features_of_pixels_lie_in_a_file_too(place: Path) -> None:
    samples = Samples((torch.rand(1100, 2, 3),), torch.zeros(1100).long()).take(torch.arange(1, 1100))
    told: list[str] = []
    found = of_pixels(lambda inputs: inputs, told.append)(samples)
    assert "the features take" in told[0]
    assert mapped_files(place) == 1
    assert found.equal(samples.inputs[0].flatten(1))


def test_damaged_pixels_are_counted_and_named(place: Path, tmp_path: Path) -> None:
    settings = folder_of_images(tmp_path / "data")
    for number in (3, 7):
        path = tmp_path / "data" / "cat" / f"{number:03}.png"
        Image.fromarray(picture(number, (40, 40))).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    save(tmp_path / "data" / "cat" / "900.png", picture(1, (6, 6)))
    with pytest.raises(InputError, match=r"found 2 of 66 files .*003.png.*007.png.*--skip-damaged"):
        load(settings)
    data = load(Settings(**{**vars(settings), "skip_damaged": True}))
    [left] = [notice for notice in data.notices if "left out" in notice]
    assert left.startswith("2 of 66 images left out")
    assert "003.png" in left
    assert "007.png" in left
    assert len(data.train) + len(data.test) == 64
    assert data.train.shapes == ((3, 6, 6),)  # the damaged ones were of another size
    assert mapped_files(place) == 1


def test_imagenet32(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_imagenet32(tmp_path)
    describe(monkeypatch, "imagenet32", counts={"train": 200, "test": 8})
    settings = Settings(data="imagenet32", root=str(tmp_path), image_size=16)
    found = load(settings)
    assert any(NOTICE.format(place) in notice for notice in found.notices)
    in_memory(monkeypatch)
    expected = load(settings)
    assert found.digest == expected.digest
    assert found.train.inputs[0].equal(expected.train.inputs[0])


def test_other_data_of_a_finished_run(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = folder_of_images(tmp_path / "data")
    for part in ("train", "test"):
        class_folders(tmp_path / "other" / part, {"cat": 4, "dog": 5, "owl": 3})
    data = load(settings)
    like = Preprocessing.fit(data, "data")
    names, other = data.hierarchy.class_names, str(tmp_path / "other")

    def read() -> list[Tensor]:
        measured, part = load_for_evaluation(settings, names, like, other)
        assert part == "test"
        return [measured.inputs[0], measured.primary, read_unlabelled([Path(other)], like).inputs[0]]

    found = read()
    in_memory(monkeypatch)
    assert all(first.equal(second) for first, second in zip(found, read(), strict=True))


def test_the_estimator_takes_files(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of_images(tmp_path / "data")
    files = sorted((tmp_path / "data").rglob("*.png"))
    labels = [file.parent.name for file in files]

    def probabilities() -> Any:
        return MetauxClassifier(backbone="mlp", epochs=1, random_state=0).fit(files, labels).predict_proba(files)

    with pytest.warns(UserWarning, match="the images take"):
        found = probabilities()
    in_memory(monkeypatch)
    assert (found == probabilities()).all()


def test_an_interrupted_run_goes_on_in_memory(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaux.training.pace.REST", 0)
    settings = folder_of_images(tmp_path / "data")
    expected = recorded(settings, "maxl", load(settings), tmp_path / "whole")
    written = Checkpoint.save

    def stop(*arguments: Any) -> None:
        written(*arguments)
        raise KeyboardInterrupt

    data = load(settings)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            recorded(settings, "maxl", data, tmp_path / "run")
    in_memory(monkeypatch)
    found = recorded(settings, "maxl", load(settings), tmp_path / "run")
    assert len(found.epochs) == 2
    for name in ("weights.safetensors", "outputs.safetensors"):
        assert (found.folder / name).read_bytes() == (expected.folder / name).read_bytes(), name


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_ended_leaves_no_file(number: int, place: Path) -> None:
    code = (
        "import time\nfrom metaux import allocation\nfrom metaux.data import mapped\nallocation.SHARE_OF_MEMORY = 0.0\n"
        "kept = mapped.room('images', (2**20,))\nkept.tensor.fill_(1)\nprint('made', flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        assert str(place) in Path(f"/proc/{process.pid}/maps").read_text()
        assert not [*place.glob("metaux-*")]
        process.send_signal(number)
        process.wait(PATIENCE)
    assert process.returncode == -number
