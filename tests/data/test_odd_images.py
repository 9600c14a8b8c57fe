"""Images and folders as people have them: what is read, worked out by hand or by NumPy, and what is said of it."""

import struct
import unicodedata
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import class_folders, picture, read_images, save
from PIL import Image

from metaux.data.images import extensions, find_images, read_files
from metaux.data.pixels import ImageFormat, image_tensor
from metaux.data.sources import load, read_unlabelled
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.settings import Settings

Array = np.ndarray[Any, Any]
# White on its left half; turned upright as orientation 6 says, its upper half is white.
HALF = np.zeros((8, 16, 3), np.uint8)
HALF[:, :8] = 255


def png(path: Path, pixels: Array, *late: bytes) -> Path:
    """Write a PNG of 16 bits per channel by hand, with chunks after the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    colour = 2 if pixels.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), *(chunk(b"eXIf", data) for data in late)]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg"])
def test_upright_in_every_format(ending: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    Image.fromarray(HALF).save(tmp_path / f"a.{ending}", exif=exif, **options)
    found = read_images([tmp_path / f"a.{ending}"])[0][0, 0].numpy()
    assert found.shape == (16, 8)
    assert (found[:8].mean() > 250, found[8:].mean() < 5) == (True, True)


def test_upright_where_it_is_said_behind_the_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = png(tmp_path / "late.png", HALF.astype(np.uint16) * 257, exif.tobytes().removeprefix(b"Exif\0\0"))
    assert read_images([path])[0].shape == (1, 3, 16, 8)


def test_sixteen_bits(tmp_path: Path) -> None:
    grey = png(tmp_path / "g.png", np.full((4, 4), 2600))
    found, [said] = read_images([grey])
    assert found.unique().tolist() == [10]  # 2600 / 257
    assert "have 16 bits, of which the upper 8 are kept" in said
    assert "none of them is above 2,600, so if that is white: --pixel-range 0 4095" in said
    stated, notices = read_images([grey], ImageFormat(pixel_range=(0, 4095)))
    assert (stated.unique().tolist(), notices) == ([162], ())  # 2600 / 4095 * 255
    _, [said] = read_images([png(tmp_path / "c.png", np.full((4, 4, 3), 2600))])
    assert "have 16 bits" in said
    fractions = save(tmp_path / "f.tif", np.full((4, 4), 0.5, np.float32))
    assert read_images([fractions], ImageFormat(pixel_range=(0, 1)))[0].unique().tolist() == [128]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    half = np.zeros((2, 4, 4), np.uint8)
    half[:, :2, 3] = 255
    Image.fromarray(half).save(tmp_path / "rgba.png")
    Image.merge("LA", [Image.fromarray(half[..., part].copy()) for part in (0, 3)]).save(tmp_path / "la.png")
    palette = Image.fromarray((half[..., 3] == 0).astype(np.uint8))
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save(tmp_path / "p.png", transparency=1)
    found, notices = read_images([tmp_path / f"{name}.png" for name in ("rgba", "la", "p")])
    assert (found.numpy() == np.where(half[..., 3] > 0, 0, 255)).all()
    assert "3 of 3 images are transparent in places, and were laid on white" in notices
    white = np.full((2, 4, 4), 255, np.uint8)
    files = []
    for number in range(2):
        white[:, :, 3] = 100 * number
        Image.fromarray(white).save(tmp_path / f"w{number}.png")
        files.append(tmp_path / f"w{number}.png")
    assert any("different files are the same image now" in notice for notice in read_images(files)[1])


def test_cmyk_and_frames(tmp_path: Path) -> None:
    Image.frombytes("CMYK", (4, 4), bytes((0, 255, 255, 0)) * 16).save(tmp_path / "c.jpg", quality=100)
    red = read_images([tmp_path / "c.jpg"])[0][0, :, 0, 0].numpy()
    assert (abs(red - np.array([255, 0, 0])) < 6).all()
    first, second = (Image.fromarray(np.full((4, 4), grey, np.uint8)) for grey in (10, 200))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    found, notices = read_images([tmp_path / "a.gif"])
    assert found.unique().tolist() == [10]
    assert any("several frames or pages, of which the first is read, such as" in notice for notice in notices)


@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_proportions(resize: Any, tmp_path: Path) -> None:
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 200
    wanted = ImageFormat((4, 4), 1, resize)
    found, [resized, said] = read_images([save(tmp_path / "wide.png", wide)], wanted)
    expected = np.full((4, 4), 200) if resize == "crop" else np.asarray(Image.fromarray(wide).resize((4, 4), 2))
    assert (found[0, 0].numpy() == expected).all()
    assert resized == "1 of 1 images were resized to 4x4 pixels"
    assert said.startswith("1 of 1 images have other proportions than 4x4: they ")


def test_the_size_that_fits(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{n}.png", picture(n, size)) for n, size in enumerate([(60, 90), (50, 40), (300, 200)])]
    found, notices = read_images(files)
    assert found.shape == (3, 3, 60, 60)  # of 60, 40, 200
    assert "costs about 4 times what 32x32 does" in notices[0]


def test_damaged_files_are_all_named_or_skipped(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"cat": 8, "dog": 8})
    for name in ("cat/x.png", "dog/y.jpg"):
        (tmp_path / "d" / name).write_bytes(b"no image")
    cut = tmp_path / "d" / "dog" / "000.png"
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"found 2 of 18 files that can't be read: '.*x.png'.*y.jpg.*--skip-damaged"):
        load(Settings(data=str(tmp_path / "d")))
    data = load(Settings(data=str(tmp_path / "d"), skip_damaged=True))
    assert len(data.train) + len(data.test) == 15
    assert not any("000" in name and "dog" in name for name in (*data.train.names, *data.test.names))
    assert any("3 of 18 images left out, since they can't be read: " in notice for notice in data.notices)
    found = read_files([cut, tmp_path / "d" / "cat" / "000.png"], ImageFormat(), skip_damaged=True)
    assert found.kept == [1]
    assert (found.images[0].permute(1, 2, 0).numpy() == picture(0)).all()


def test_the_same_files_in_training_and_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {".png", ".jpg", ".jp2", ".tga", ".ppm", ".webp", ".jfif"} <= set(extensions())
    for name in ("a.PNG", "b.ppm", "@eaDir/a.png/t.jpg", "__MACOSX/c.png", ".thumbnails/d.png", "notes.txt"):
        save(tmp_path / name) if name[0] != "n" else (tmp_path / name).write_text("")
    found = find_images(tmp_path)
    assert [path.name for path in found.images] == ["a.PNG", "b.ppm"]
    assert len(found.thumbnails) == 3
    fitted = Preprocessing("image", 3, (6, 6), (0.5,) * 3, (0.2,) * 3)
    samples = read_unlabelled([tmp_path], fitted)
    assert samples.names == tuple(str(tmp_path / name) for name in ("a.PNG", "b.ppm"))
    assert any("3 hidden images or thumbnails were skipped" in notice for notice in samples.notices)
    monkeypatch.chdir(tmp_path)
    assert read_unlabelled([Path("*.p*")], fitted).names == ("b.ppm",)
    with pytest.raises(InputError, match=r"expected files like '\*.jpeg'"):
        read_unlabelled([Path("*.jpeg")], fitted)


@pytest.mark.parametrize(
    "parts", [("seg_train/seg_train", "seg_test/seg_test"), ("Training", "Validation"), ("train-set", "test-set")]
)
def test_parts_called_otherwise(parts: tuple[str, str], tmp_path: Path) -> None:
    for number, part in enumerate(parts):
        class_folders(tmp_path / "all" / part, {"cat": 4 - number, "dog": 4 - number})
    save(tmp_path / "all" / "seg_pred" / "1.png") if parts[0].startswith("seg") else None
    data = load(Settings(data=str(tmp_path)))
    assert data.hierarchy.class_names == ("cat", "dog")
    assert any(" part" in notice for notice in data.notices)
    if parts[0].startswith("seg"):
        assert (len(data.train), len(data.test)) == (8, 6)
        assert any("'seg_pred'" in notice for notice in data.notices)


def test_names_in_two_unicode_forms(tmp_path: Path) -> None:
    for part, form in (("train", "NFC"), ("test", "NFD")):
        names = [unicodedata.normalize(form, name) for name in ("café", "thé")]  # type: ignore[arg-type]
        class_folders(tmp_path / part, dict.fromkeys(names, 3))
    data = load(Settings(data=str(tmp_path)))
    assert data.hierarchy.class_names == ("café", "thé")
    assert any("6 of 6 test images are also training images" in notice for notice in data.notices)


def test_a_list_from_windows(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 4, "dog": 4})
    rows = [f"{name}\\{n:03}.png,{name}" for name in ("cat", "dog") for n in range(4)]
    (tmp_path / "list.csv").write_text("\r\n".join(["file,label", *rows]))
    data = load(Settings(data=str(tmp_path / "list.csv")))
    assert len(data.train) + len(data.test) == 8
    (tmp_path / "list.csv").write_text("file,label\ncat/000.PNG,cat\n")
    with pytest.raises(InputError, match=r"found nothing at '.*000.PNG' .*; there is '000.png'"):
        load(Settings(data=str(tmp_path / "list.csv")))


@pytest.mark.parametrize(
    ("x", "pixel_range", "expected", "said"),
    [
        (np.full((2, 4, 4), 0.5), None, 128, "fractions up to 0.5, taken as 0 .black. to 1 .white."),
        (np.full((2, 4, 4), 16.0), None, 16, "whole numbers up to 16, taken as 0 .black. to 255"),
        (np.full((2, 4, 4), 8), (0, 16), 128, ""),
        (np.full((2, 4, 4), -0.5), (-1, 1), 64, ""),
        (np.full((2, 4, 4), 0.25), (1, 0), 191, ""),
        (np.full((2, 4, 4), 3), None, 3, ""),
    ],
)
def test_the_range_of_arrays(x: Array, pixel_range: Any, expected: int, said: str) -> None:
    found = image_tensor("x", x, pixel_range)
    assert found.images.unique().tolist() == [expected]
    assert [bool(said)] * len(found.notices) == [True] * bool(said)
    with pytest.raises(InputError, match=r"found fractions up to 12.5; say what black and white are, .*pixel-range 0"):
        image_tensor("x", np.full((2, 4, 4), 12.5))
