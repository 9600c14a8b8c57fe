import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import picture, save
from torch import Tensor

from metaux.data.samples import LabelledData, Samples
from metaux.data.sources import read_unlabelled
from metaux.data.transforms import Augmentation, Preprocessing, augmentation
from metaux.errors import InputError
from metaux.hierarchy import Hierarchy


def data(x: Tensor, kind: str, augment: str = "none") -> LabelledData:
    samples = Samples((x,), torch.zeros(len(x), dtype=torch.int64))
    return LabelledData(samples, samples, Hierarchy([2]), kind, None, augment)  # type: ignore[arg-type]


IMAGES = torch.randint(256, (50, 3, 6, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TABLE = torch.randn(40, 5, generator=torch.Generator().manual_seed(0)) * 3 + 2


def test_fixed_normalisation_is_the_released_code_s() -> None:
    fixed = Preprocessing.fit(data(IMAGES, "image"), "fixed")

    assert (fixed.mean, fixed.deviation, fixed.channels, fixed.image_size) == (
        (0.5,) * 3,
        (0.2,) * 3,
        3,
        (6, 4),
    )
    [x] = fixed((IMAGES,))
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, (IMAGES.float() / 255 - 0.5) / 0.2)


@pytest.mark.parametrize(("x", "kind"), [(IMAGES, "image"), (TABLE, "table")])
def test_the_data_s_normalisation_gives_mean_0_and_deviation_1(x: Tensor, kind: str) -> None:
    [out] = Preprocessing.fit(data(x, kind), "data")((x,))
    axes = [axis for axis in range(out.ndim) if axis != 1]
    torch.testing.assert_close(out.mean(axes), torch.zeros(out.shape[1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(axes, correction=0), torch.ones(out.shape[1]))


def test_tables_are_always_normalised_by_the_data() -> None:
    assert Preprocessing.fit(data(TABLE, "table"), "fixed") == Preprocessing.fit(data(TABLE, "table"), "data")


def test_constant_columns_and_channels_become_zero() -> None:
    constant = torch.full((9, 2), 0.1)
    assert Preprocessing.fit(data(constant, "table"), "data")((constant,))[0].abs().max() < 1e-6
    black = torch.full((9, 1, 4, 4), 7, dtype=torch.uint8)
    fitted = Preprocessing.fit(data(black, "image"), "data")
    assert fitted.deviation == (1.0,)
    assert fitted((black,))[0].abs().max() < 1e-6


def test_other_inputs_and_further_ones_pass_through() -> None:
    words = torch.arange(6).view(2, 3)
    assert Preprocessing.fit(data(words, "other"), "data")((words, words)) == (words, words)
    further = Preprocessing.fit(data(TABLE, "table"), "data")((TABLE, words))
    assert further[1] is words


def test_double_precision_is_kept() -> None:
    fitted = Preprocessing.fit(data(TABLE, "table"), "data")
    assert fitted((TABLE.double(),))[0].dtype == torch.float64


def test_plain_types_and_back() -> None:
    for x, kind in ((IMAGES, "image"), (TABLE, "table"), (TABLE, "other")):
        fitted = Preprocessing.fit(data(x, kind), "data")
        assert Preprocessing.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_images_are_read_as_the_run_s(tmp_path: Path) -> None:
    file = save(tmp_path / "a.png", picture(0, (20, 30)))
    grey = Preprocessing("image", 1, (8, 9), (0.5,), (0.2,))
    assert read_unlabelled([file], grey).inputs[0].shape == (1, 1, 8, 9)
    table = Preprocessing("table", 4, None, (0.0,) * 4, (1.0,) * 4)
    with pytest.raises(InputError, match=r"inputs like the run's \(tables of 4 columns\), found .*a.png; give one"):
        read_unlabelled([file], table)


@given(
    st.integers(0, 3),
    st.booleans(),
    st.integers(1, 5),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(0, 99),
)
def test_every_output_is_a_crop_of_the_padded_image(
    padding: int, flip: bool, count: int, height: int, width: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(1, 256, (count, 2, height, width), dtype=torch.uint8, generator=generator)
    out = Augmentation(padding, flip)(x, generator)
    assert out.dtype == torch.uint8
    padded = torch.nn.functional.pad(x, (padding,) * 4)
    for image, found in zip(padded, out, strict=True):
        crops = [
            image[:, top : top + height, left : left + width]
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
        ]
        assert any(found.equal(crop) or (flip and found.equal(crop.flip(2))) for crop in crops)


def test_every_image_is_drawn_by_itself() -> None:
    x = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4).expand(4000, 1, 4, 4)
    out = Augmentation(1, True)(x, torch.Generator().manual_seed(0))
    kinds, counts = np.unique(out.flatten(1).numpy(), axis=0, return_counts=True)
    assert len(kinds) == 18  # nine places, mirrored or not
    assert counts.min() > 4000 / 18 * 0.7


def test_flips_do_not_change_the_crops() -> None:
    x = torch.full((100, 1, 6, 6), 9, dtype=torch.uint8)
    plain, flipped = (Augmentation(2, flip)(x, torch.Generator().manual_seed(1)) for flip in (False, True))
    assert plain.sum((1, 3)).equal(flipped.sum((1, 3)))
    assert Augmentation(2, True)(x, torch.Generator().manual_seed(1)).equal(flipped)


def test_no_augmentation_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert Augmentation()(TABLE, generator) is TABLE
    assert generator.get_state().equal(before)


def test_names() -> None:
    x = torch.zeros(2, 1, 32, 40, dtype=torch.uint8)
    assert augmentation("auto", data(x, "image", "crop-flip")) == Augmentation(4, True)
    assert augmentation("auto", data(x, "image", "crop")) == Augmentation(4, False)
    assert augmentation("crop-flip", data(x, "image")) == Augmentation(4, True)
    assert augmentation("none", data(x, "image", "crop")) == Augmentation()
    assert augmentation("auto", data(TABLE, "table")) == Augmentation()
    with pytest.raises(InputError, match="expected images for the augmentation crop, found a table data set; choose"):
        augmentation("crop", data(TABLE, "table"))
    with pytest.raises(InputError, match="unknown augmentation 'corp'; did you mean 'crop'"):
        augmentation("corp", data(x, "image"))
