from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import picture, read_images, save
from PIL import Image

from metaux.data import pixels
from metaux.data.images import find_images
from metaux.data.pixels import AS_FOUND, ImageFormat, conform
from metaux.errors import InputError


def test_equal_images_are_kept_bit_for_bit(tmp_path: Path) -> None:
    pixels = [picture(seed, (5, 7)) for seed in range(3)]
    files = [save(tmp_path / f"{number}.png", array) for number, array in enumerate(pixels)]
    found, notices = read_images(files)
    assert found.permute(0, 2, 3, 1).numpy().tolist() == np.stack(pixels).tolist()
    assert notices == ()


def test_only_greyscale_stays_greyscale(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", picture(0, channels=1))
    colour = save(tmp_path / "colour.png", picture(1))
    assert read_images([grey])[0].shape == (1, 1, 6, 6)
    both, notices = read_images([grey, colour])
    assert both.shape == (2, 3, 6, 6)
    assert both[0, 0].equal(both[0, 2])
    assert notices == ("1 of 2 images are greyscale and were turned into RGB",)
    assert read_images([colour], ImageFormat(None, 1))[0].shape == (1, 1, 6, 6)


def test_different_sizes_are_brought_to_one_with_a_notice(tmp_path: Path) -> None:
    files = [save(tmp_path / "a.png", picture(0, (40, 50))), save(tmp_path / "b.png", picture(1, (20, 30)))]
    found, [notice, other] = read_images(files)
    assert found.shape == (2, 3, 32, 32)
    assert notice.startswith("2 of 2 images were resized to 32x32 pixels because their sizes differ (20x30 to 40x50)")
    wanted, notices = read_images(files, ImageFormat((8, 8)))
    assert wanted.shape == (2, 3, 8, 8)
    assert notices == ("2 of 2 images were resized to 8x8 pixels", other.replace("32x32", "8x8"))


def test_shrinking_smooths(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (32, 16))
    shrunk, _ = read_images([save(tmp_path / "stripes.png", stripes)], ImageFormat((8, 8)))
    assert int(shrunk.min()) > 100
    assert int(shrunk.max()) < 155
    in_memory = conform(torch.from_numpy(stripes)[None, None], ImageFormat((8, 8)))
    assert (in_memory.int() - shrunk.int()).abs().max() <= 1


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".bmp", ".webp", ".gif", ".png", ".tif", ".TIFF"])
def test_kinds_of_files(tmp_path: Path, ending: str) -> None:
    file = save(tmp_path / f"a{ending}", np.full((6, 4, 3), 90, dtype=np.uint8))
    found, _ = read_images([file])
    assert found.shape == (1, 3, 6, 4)
    assert (found.int() - 90).abs().max() <= 3
    assert find_images(tmp_path).images == [file]


def test_transparency_palette_and_depth(tmp_path: Path) -> None:
    red = Image.new("RGBA", (3, 3), (200, 10, 20, 0))
    red.save(tmp_path / "rgba.png")
    palette = Image.new("RGB", (3, 3), (200, 10, 20)).convert("P")
    palette.save(tmp_path / "palette.png", transparency=bytes([255, 0]))
    Image.fromarray(np.full((3, 3), 65535 // 2, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert read_images([tmp_path / "rgba.png"])[0][0, :, 0, 0].tolist() == [255, 255, 255]
    assert read_images([tmp_path / "palette.png"])[0].shape[1] == 3
    assert sorted(set(read_images([tmp_path / "deep.png"])[0].flatten().tolist())) == [127]


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((8, 16, 3), dtype=np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.jpg", exif=exif)
    assert read_images([tmp_path / "photo.jpg"], AS_FOUND)[0].shape == (1, 3, 16, 8)


def test_large_images_are_decoded_in_order(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{grey}.png", np.full((300, 300), grey, dtype=np.uint8)) for grey in range(0, 250, 5)]
    found, _ = read_images(files, ImageFormat((4, 4)))
    assert found[:, 0, 0, 0].tolist() == list(range(0, 250, 5))


def test_progress(tmp_path: Path) -> None:
    files = [save(tmp_path / "a.png")] * 150
    seen: list[tuple[int, int]] = []
    read_images(files, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(100, 150), (150, 150)]


def test_what_is_not_an_image(tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("hello")
    cut = save(tmp_path / "cut.png", picture(0, (50, 50)))
    cut.write_bytes(cut.read_bytes()[:2000])
    for file in (text, cut):
        with pytest.raises(InputError, match=f"expected an image, found '{file}' that can't be read .*; repair"):
            read_images([file])
    with pytest.raises(InputError, match=r"expected an image file, found nothing at .*none.png"):
        read_images([tmp_path / "none.png"])


def test_more_than_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "LARGEST", 100)
    with pytest.raises(InputError, match=r"found 1 of 6x6 pixels.*give a smaller --image-size"):
        conform(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), ImageFormat((6, 6)))


def test_conform_channels() -> None:
    colour = torch.tensor([100, 50, 200], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    grey = conform(colour, ImageFormat(None, 1))
    assert set(grey.flatten().tolist()) == {round(29.9 + 29.35 + 22.8)}
    with pytest.raises(InputError, match="expected images of 3 channels, found 2"):
        conform(colour[:, :2], ImageFormat(None, 3))
    assert conform(colour, AS_FOUND).equal(colour)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((6, 6), 0.5, dtype=np.float32), "expected whole numbers for pixels, found fractions"),
        (np.full((6, 6), 70_000, dtype=np.int32), "expected image values from 0 to 65535 in .*, found 70000 to 70000"),
    ],
)
def test_what_eight_bits_cannot_hold(pixels: "np.ndarray[Any, Any]", message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_images([save(tmp_path / "deep.tif", pixels)])


def test_of_sixteen_bits_the_upper_ones_are_kept_with_a_notice(tmp_path: Path) -> None:
    file = save(tmp_path / "deep.png", np.full((6, 6), 257 * 40, dtype=np.uint16))
    found, [notice] = read_images([file])
    assert found.unique().tolist() == [40]
    assert notice.startswith("1 of 1 images have 16 bits, of which the upper 8 are kept")
