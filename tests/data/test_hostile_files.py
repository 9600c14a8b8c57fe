"""Files that others made: none runs a program, none keeps the reader waiting, none fills the memory."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from memory import little_memory
from pictures import class_folders, read_images, save
from PIL import EpsImagePlugin, Image

from metaux.data import images
from metaux.data.decoding import FORMATS
from metaux.data.pixels import ImageFormat
from metaux.data.sources import load
from metaux.errors import InputError
from metaux.settings import Settings
from shell import done, metaux, write_images
from written import write_animals

SOURCE = Path(images.__file__).parent.parent
LIMIT = 60.0
"""Seconds after which a command is said to hang."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer, whatever it waits for."""

    def fail(*_: object) -> None:
        raise AssertionError(f"hangs for {seconds:g} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `gs` on the path that does what the PostScript asks for; returns the file that this one asks for."""
    written = tmp_path / "written"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit\necho run >> "{written}"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return written


def postscript(path: Path, target: Path) -> Path:
    """Write an EPS file that writes another file when Ghostscript runs it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
        f"({target}) (w) file dup (owned) writestring closefile\nshowpage\n%%EOF\n"
    )
    return path


def test_postscript_is_no_image(tmp_path: Path, ghostscript: Path) -> None:
    file = postscript(tmp_path / "a.png", ghostscript)
    with Image.open(file) as image, pytest.raises(subprocess.CalledProcessError):
        image.load()
    assert ghostscript.exists()  # Pillow alone does run it
    ghostscript.unlink()
    with pytest.raises(InputError, match=r"expected an image, found '.*a.png' that can't be read as one"):
        read_images([file])
    assert not ghostscript.exists()


def test_training_does_not_run_the_postscript_of_a_data_folder(tmp_path: Path, ghostscript: Path) -> None:
    folder = write_images(tmp_path / "images")
    postscript(folder / "cat" / "x.png", ghostscript)
    (tmp_path / "m.csv").write_text("file,label\nimages/cat/0.png,cat\nimages/cat/x.png,cat\nimages/dog/0.png,dog\n")
    for data in (folder, tmp_path / "m.csv"):
        result = metaux("train", data, "--out", tmp_path / "out")
        assert (result.code, result.err.count("\n")) == (2, 1), result
        assert "x.png' that can't be read as one" in result.err
    assert not ghostscript.exists()


def test_a_column_of_images_is_never_decoded_by_the_hubs_package(tmp_path: Path, ghostscript: Path) -> None:
    datasets = pytest.importorskip("datasets")
    file = postscript(tmp_path / "x.png", ghostscript)
    pictures = datasets.Features({"label": datasets.Image(), "text": datasets.Value("string")})
    classes = datasets.Features({"label": datasets.ClassLabel(names=["a", "b"]), "image": datasets.Image()})
    for number, (features, values, message) in enumerate(
        (
            (pictures, {"label": [str(file)] * 2, "text": ["a", "b"]}, "expected classes in column 'label'"),
            (classes, {"label": [0, 1], "image": [str(file)] * 2}, "that can't be read as one"),
        )
    ):
        place = tmp_path / f"hub{number}"
        datasets.Dataset.from_dict(values, features=features).save_to_disk(str(place))
        with pytest.raises(InputError, match=message):
            load(Settings(data=f"hf:{place}"))
    assert not ghostscript.exists()


def test_every_image_is_opened_in_one_place() -> None:
    opening = re.compile(r"Image\.open\(|ImageFolder\(|default_loader|imread\(|decode_image\(|read_image\(")
    found = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if opening.search(path.read_text())}
    assert found == {"data/decoding.py"}
    assert not set(FORMATS) & {"EPS", "PDF", "WMF", "GRIB", "BUFR", "HDF5", "MPEG"}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    place = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(f"/proc/self/fd/{place}/{path.name}")  # the whole name is too long
    os.close(place)


def link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


SPECIAL: dict[str, tuple[Callable[[Path], None], str]] = {
    "named pipe": (pipe, "named pipe"),
    "socket": (unix_socket, "socket"),
    "device": (link("/dev/zero"), "device"),
    "process memory": (link("/proc/self/mem"), "file of the system"),
    "kernel messages": (link("/proc/kmsg"), "file of the system"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run as an earlier release left it, without digests, and without what it learned."""
    path = tmp_path_factory.mktemp("classical")
    done("train", write_animals(path / "t.csv"), "--method", "logistic-regression", "--out", path / "run")
    for name in ("manifest.json", "classifier.skops"):
        (path / "run" / name).unlink()
    return path / "run"


@pytest.mark.skipif(sys.platform != "linux", reason="made by Linux")
@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_no_plain_file_is_refused_at_once(name: str, run: Path, tmp_path: Path) -> None:
    make, kind = SPECIAL[name]
    folder = class_folders(tmp_path / "images", {"cat": 3, "dog": 3})
    (tmp_path / "m.csv").write_text("file,label\nimages/cat/x.png,cat\nimages/dog/000.png,dog\n")
    shutil.copytree(run, tmp_path / "run")
    for file, words in (
        ("images/cat/x.png", ["train", folder]),
        ("images/cat/x.png", ["train", tmp_path / "m.csv"]),
        ("x.csv", ["train", tmp_path / "x.csv"]),
        ("x.npz", ["train", tmp_path / "x.npz"]),
        ("h.csv", ["train", "digits", "--hierarchy", tmp_path / "h.csv"]),
        ("h.yaml", ["train", "digits", "--hierarchy", tmp_path / "h.yaml"]),
        ("c.yaml", ["train", "digits", "--config", tmp_path / "c.yaml"]),
        ("w.pth", ["train", folder, "--backbone", "torchvision:squeezenet1_1", "--weights", tmp_path / "w.pth"]),
        ("run/classifier.skops", ["evaluate", tmp_path / "run"]),
    ):
        if not (tmp_path / file).is_symlink() and not (tmp_path / file).exists():
            make(tmp_path / file)
        with within(LIMIT):
            result = metaux(*words, *(["--out", tmp_path / "out"] if words[0] == "train" else []))
        assert (result.code, result.err.count("\n")) == (2, 1), result
        assert f"found the {kind} '{tmp_path / file}'" in result.err


@pytest.mark.skipif(sys.platform != "linux", reason="made by Linux")
def test_a_pipe_in_a_folder_of_the_hubs_format(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.csv").write_text("text,label\na,x\n")
    pipe(tmp_path / "d" / "test.csv")
    with within(LIMIT), pytest.raises(InputError, match=r"found the named pipe '.*test.csv'"):
        load(Settings(data=f"hf:{tmp_path / 'd'}"))


def test_a_link_to_a_plain_file_is_one(tmp_path: Path) -> None:
    file = save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(file)
    assert read_images([tmp_path / "b.png"])[0].equal(read_images([file])[0])


def huge_png(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def huge_tiff(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: height, 279: width * height}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)).ljust(500, b"\0")


@pytest.mark.parametrize(("name", "made"), [("a.png", huge_png), ("a.tif", huge_tiff)])
@pytest.mark.parametrize("size", [(32768, 32768), (10000, 9000), (89_478_486, 1)])
def test_an_image_is_refused_by_the_size_that_it_claims(
    name: str, made: Callable[[int, int], bytes], size: tuple[int, int], tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(made(*size))
    assert file.stat().st_size <= 500
    message = rf"images of at most 89 million pixels, found more in '{file}'; make it"
    with little_memory(), pytest.raises(InputError, match=message):
        read_images([file])
    (tmp_path / "cut.png").write_bytes(huge_png(9000, 9000))  # small enough, but its pixels aren't there
    with pytest.raises(InputError, match="can't be read as one"):
        read_images([tmp_path / "cut.png"], ImageFormat((8, 8), 3))


def test_a_second_page_without_a_size(tmp_path: Path) -> None:
    content = bytearray(huge_tiff(8, 8))
    struct.pack_into("<I", content, 8 + 2 + 9 * 12, 300)  # where the tags of the next page are: there are none
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"found '.*a.tif' that can't be read as one \(Missing dimensions\)"):
        read_images([tmp_path / "a.tif"])
