from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metaux.data.sources import load
from metaux.errors import InputError
from metaux.settings import Settings

Y = np.arange(12) % 3


def saved(folder: Path, **arrays: Any) -> Settings:
    np.savez(folder / "data.npz", **arrays)
    return Settings(data=str(folder / "data.npz"))


def test_a_table(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(12, 4))
    data = load(saved(tmp_path, x=x, y=Y * 10))
    assert (data.kind, data.augmentation) == ("table", "none")
    assert data.train.inputs[0].dtype == torch.float32
    assert data.hierarchy.class_names == ("0", "10", "20")
    assert data.train.ids is not None
    assert data.train.inputs[0].equal(torch.from_numpy(x).float()[data.train.ids])
    assert data.train.primary.tolist() == Y[data.train.ids].tolist()


def test_images_of_every_form_are_the_same(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 5, 6, 3), dtype=np.uint8)
    expected = load(saved(tmp_path, x=pixels, y=Y)).train.inputs[0]
    assert expected.shape == (9, 3, 5, 6)
    for form in (
        pixels.astype(np.int64),
        pixels.astype(np.float64),
        pixels / 255,
        (pixels / 255).astype(np.float32),
    ):
        found = load(saved(tmp_path, x=form, y=Y))
        assert found.train.inputs[0].equal(expected)
        assert (found.kind, found.augmentation) == ("image", "none")
    assert load(saved(tmp_path, x=pixels[..., 0], y=Y)).train.inputs[0].equal(expected[:, :1])
    black_and_white = load(saved(tmp_path, x=pixels[..., 0] > 127, y=Y)).train.inputs[0]
    assert sorted(set(black_and_white.flatten().tolist())) == [0, 255]


def test_given_test_part_string_and_fine_labels(tmp_path: Path) -> None:
    x = np.zeros((12, 2))
    kinds = np.array(["cat", "dog", "owl"])[Y]
    fine = np.array([f"{kind}{row % 2}" for row, kind in enumerate(kinds)])
    data = load(
        saved(
            tmp_path,
            x=x,
            y=kinds,
            y_fine=fine,
            x_test=x[:6],
            y_test=kinds[:6, None],
            y_fine_test=fine[:6],
            z=x,
        )
    )
    assert (len(data.train), len(data.test)) == (12, 6)
    assert data.hierarchy.subclass_names == ("cat0", "cat1", "dog0", "dog1", "owl0", "owl1")
    assert data.test.human is not None
    assert [data.hierarchy.subclass_names[flat] for flat in data.test.human] == fine[:6].tolist()
    assert data.notices == ("the arrays z are not used",)


def test_both_parts_of_images_go_to_the_same_value(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 4, 4)).astype(np.uint8)
    for first, second in ((pixels, pixels.astype(float)), (pixels / 255, pixels / 255)):
        data = load(saved(tmp_path, x=first, y=Y, x_test=second, y_test=Y))
        assert data.test.inputs[0].equal(data.train.inputs[0])
    with pytest.raises(InputError, match="expected image values from 0 to 255 in x_test, as before, found 0 to 1"):
        load(saved(tmp_path, x=pixels, y=Y, x_test=pixels / 255, y_test=Y))


def test_images_are_resized(tmp_path: Path) -> None:
    settings = saved(tmp_path, x=np.full((12, 8, 8), 77, dtype=np.uint8), y=Y)
    data = load(Settings(data=settings.data, image_size=4))
    assert data.train.inputs[0].shape == (9, 1, 4, 4)
    assert sorted(set(data.train.inputs[0].flatten().tolist())) == [77]


TABLE = np.zeros((12, 4))
HOLE = TABLE.copy()
HOLE[7, 2] = np.nan
IMAGES = np.zeros((12, 4, 4))
ENDLESS = IMAGES.copy()
ENDLESS[3, 1, 2] = np.inf


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": Y}, "expected the arrays x and y, found y; add 'x'"),
        ({"x": TABLE}, "expected the arrays x and y, found x; add 'y'"),
        ({"x": TABLE, "y": Y[:5]}, "one label in y per row of x, found 5 for 12; correct"),
        ({"x": TABLE, "y": Y, "x_test": TABLE}, "x_test and y_test together, found only x_test; add y_test"),
        (
            {"x": TABLE, "y": Y, "x_test": TABLE[:, :2], "y_test": Y},
            r"expected rows of shape \(4,\) in x_test",
        ),
        ({"x": TABLE, "y": Y, "y_fine": Y, "x_test": TABLE, "y_test": Y}, "y_fine and y_fine_test together"),
        ({"x": HOLE, "y": Y}, r"expected finite numbers in x, found nan in row 7, column 2 \(1 in all\)"),
        ({"x": TABLE, "y": Y, "x_test": HOLE, "y_test": Y}, "finite numbers in x_test, found nan in row 7"),
        ({"x": ENDLESS, "y": Y}, r"found inf in row 3, pixel \(1, 2\)"),
        ({"x": TABLE + 1e300, "y": Y}, "that float32 can hold, found 1e.300 in row 0, column 0; rescale"),
        (
            {"x": TABLE + 1.7e9 + np.arange(12)[:, None], "y": Y},
            "that float32 can tell apart in x, column 0, found 1700000000 to 1700000011; subtract the smallest",
        ),
        ({"x": IMAGES - 1, "y": Y}, "image values from 0 to 1 in x, found -1 to -1; rescale"),
        ({"x": IMAGES + 300, "y": Y}, "image values from 0 to 255 in x, found 300 to 300"),
        (
            {"x": np.zeros((12, 3, 32, 32)), "y": Y},
            r"shape \(n, h, w, channels\), found .* move the channels",
        ),
        ({"x": np.zeros(12), "y": Y}, r"expected x of shape \(n, features\), .*, found \(12,\); reshape it"),
        ({"x": np.zeros((0, 4)), "y": Y[:0]}, r"found \(0, 4\); reshape it"),
        ({"x": np.float64(3), "y": Y}, "expected one entry per sample in x, found a single value"),
        ({"x": np.array([["a"]] * 12), "y": Y}, "expected numbers in x, found <U1; convert it"),
        (
            {"x": TABLE, "y": Y + 0.5},
            r"one whole number or string per row in y, found float64 of shape \(12,\)",
        ),
        ({"x": TABLE, "y": np.zeros((12, 3))}, r"in y, found float64 of shape \(12, 3\); convert it"),
        ({"x": TABLE, "y": np.zeros(12)}, "expected two classes or more, found only '0'"),
        ({"x": TABLE, "y": np.arange(12) == 3}, "found 1 of '1'; add some"),
        (
            {"x": TABLE, "y": np.array([{}] * 12)},
            r"found Python objects in y .*: y.astype\(str\)",
        ),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(saved(tmp_path, **arrays))
    assert "\n" not in str(caught.value)


def test_image_size_of_a_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected images, found a table in .*data.npz"):
        load(Settings(data=saved(tmp_path, x=TABLE, y=Y).data, image_size=8))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04cut"])
def test_what_is_not_an_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"expected an .npz file of plain .*data.npz' that isn't one"):
        load(Settings(data=str(tmp_path / "data.npz")))


def test_pickles_are_never_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object))
    (tmp_path / "a.npy").rename(tmp_path / "data.npz")
    with pytest.raises(InputError, match="that isn't one"):
        load(Settings(data=str(tmp_path / "data.npz")))


def test_a_damaged_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(50, 4)), y=np.arange(50) % 2)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(InputError, match="that isn't one"):
        load(Settings(data=str(path)))
