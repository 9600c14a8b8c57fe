"""From stored samples to network inputs: normalisation, and random crops and flips of whole batches."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, get_type_hints

import torch
from torch import Tensor

from metaux.data.columns import Column, Columns
from metaux.data.pixels import Range
from metaux.data.samples import LabelledData, Samples
from metaux.errors import InputError, choose
from metaux.rng import seeded
from metaux.settings import typed
from metaux.transfer import to_device

AUGMENTATIONS = ("auto", "none", "crop", "crop-flip")
HUB_TASKS = {"image": "image-classification", "table": "tabular-classification", "text": "text-classification"}
"""What the Hugging Face hub calls the task, by the kind of samples."""


@dataclass(frozen=True)
class Preprocessing:
    """How a run's samples become network inputs: (x - mean) / standard deviation, images being scaled to 0..1 before.

    Args:
        kind: `image` (normalised per channel), `table` (per column), `text` or `other` (passed on as they are).
        channels: the number of channels of an image, of columns of a table, of words of a text, 0 for other inputs.
        image_size: (height, width) of images in pixels.
        mean: per channel or column.
        deviation: the standard deviation per channel or column; 1 where all training values are equal.
        columns: the columns of a table, where they are known.
        tokenizer: what makes ids of texts, as `tokenizers` writes it.
        pixel_range: what black and white are in arrays of images.

    >>> fixed = Preprocessing("image", 1, (1, 2), (0.5,), (0.2,))
    >>> [x] = fixed((torch.tensor([[[[0, 255]]]], dtype=torch.uint8),))
    >>> x.tolist()
    [[[[-2.5, 2.5]]]]
    """

    kind: Literal["image", "table", "text", "other"]
    channels: int
    image_size: tuple[int, int] | None
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    columns: Columns = ()
    tokenizer: str = field(default="", repr=False)
    pixel_range: Range | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was computed from the values: a pickle made with a GPU is opened without one."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def fit(cls, data: LabelledData, normalisation: Literal["fixed", "data"]) -> "Preprocessing":
        """Choose the normalisation for data.

        Args:
            data: of which only the training samples are looked at.
            normalisation: `fixed` is mean 0.5 and standard deviation 0.2 for images scaled to 0..1, as in the
                released code; `data` is what the training samples have. Tables always take the data's.
        """
        if data.kind == "other":
            return cls("other", 0, None, (), ())
        channels, *size = data.train.shapes[0]
        if data.kind == "text":
            return cls("text", channels, None, (), (), tokenizer=data.tokenizer)
        if data.kind == "table":
            mean, deviation = _column_statistics(data.train.inputs[0])
            return cls("table", channels, None, mean, deviation, data.columns)
        height, width = size
        if normalisation == "fixed":
            mean, deviation = (0.5,) * channels, (0.2,) * channels
        else:
            statistics = _pixel_statistics(data.train, channels)
            mean, deviation = tuple(m for m, _ in statistics), tuple(d for _, d in statistics)
        return cls("image", channels, (height, width), mean, deviation, pixel_range=data.pixel_range)

    def __call__(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Normalise the first of the inputs `[batch, ...]`, on its device; further ones are passed on as they
        are.

        Images and tables come back in torch's default float type, double precision and everything else in its own.
        """
        if self.kind in ("text", "other"):
            return inputs
        first, *rest = inputs
        x = first if first.dtype == torch.float64 else first.to(torch.get_default_dtype())
        kind = (x.device, x.dtype)
        if kind not in self._placed:
            scale, shift = self.scale_and_shift()
            self._placed[kind] = scale.to(x), shift.to(x)
        scale, shift = self._placed[kind]
        return ((x - shift) * scale, *rest)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """Return what makes inputs of raw samples, (x - shift) * scale, in the shape of a batch of one."""
        unit, shape = (255, (1, -1, 1, 1)) if self.kind == "image" else (1, (1, -1))
        deviation, mean = torch.tensor((self.deviation, self.mean), dtype=torch.float64)
        return (1 / (unit * deviation)).view(shape), (unit * mean).view(shape)

    @cached_property
    def _placed(self) -> dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]]:
        """Scale and shift where they were needed before, and in what type."""
        return {}

    def check(self, kind: str, inputs: Tensor) -> None:
        """Raise `InputError` unless inputs `[n, ...]` are of the run's kind and form."""
        if kind != self.kind or inputs.shape[1] != self.channels:
            raise self.refusal(f"{kind} inputs of shape {tuple(inputs.shape[1:])}")

    def refusal(self, found: str) -> InputError:
        """Return the error for inputs of another form."""
        return InputError(f"expected data like the run's ({self.describe()}), found {found}; give data of that form")

    def describe(self) -> str:
        """Say what inputs it takes.

        >>> Preprocessing("table", 4, None, (0.0,) * 4, (1.0,) * 4).describe()
        'tables of 4 columns'
        """
        if self.kind == "image" and self.image_size is not None:
            return f"images of {self.image_size[0]}x{self.image_size[1]} pixels and {self.channels} channels"
        if self.kind == "text":
            return f"texts of up to {self.channels} tokens"
        return f"tables of {self.channels} columns" if self.kind == "table" else "other inputs"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON types; `from_dict` reads it back."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return plain | {"columns": [column.to_dict() for column in self.columns]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Make it from what `to_dict` returned.

        Raises:
            TypeError: for anything else.
        """
        kinds = get_type_hints(cls)
        plain = {name: typed(name, value, kinds.get(name, str)) for name, value in values.items() if name != "columns"}
        made = cls(**plain, columns=tuple(map(Column.of, values.get("columns", ()))))
        count = made.channels if made.kind in ("image", "table") else 0
        if not len(made.mean) == len(made.deviation) == count:
            raise TypeError(f"{len(made.mean)} means and {len(made.deviation)} deviations of {count} channels")
        if made.columns and (width := sum(len(column.features) for column in made.columns)) != made.channels:
            raise TypeError(f"columns of {width} features, not of {made.channels}")
        return made

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise `TypeError` unless one sample of this shape is what it takes."""
        if self.kind != "other" and tuple(shape) != (self.channels, *(self.image_size or ())):
            raise TypeError(f"samples of shape {list(shape)}, but {self.describe()}")


@dataclass(frozen=True)
class Augmentation:
    """Random crops of zero-padded images, horizontal flips and other changes, drawn for each image by itself.

    Zero is black: images are padded as they are stored, before normalisation.

    Args:
        padding: pixels added on every side before an image is cropped to its own size again.
        flip: mirror half of the images.
        trivial: change each image in one of fourteen ways besides, colour and geometry, by a random amount. Source:
            Müller, Hutter, *TrivialAugment: Tuning-free yet state-of-the-art data augmentation* (ICCV 2021).
    """

    padding: int = 0
    flip: bool = False
    trivial: bool = False

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return a randomly moved and mirrored copy of images `[n, channels, height, width]`.

        The random numbers of crops and flips are drawn on the CPU, three per image; without any
        augmentation the images themselves are returned, whatever their shape, and nothing is drawn.
        """
        if self.padding or self.flip:
            images = self._moved(images, generator)
        return _trivially_changed(images, generator) if self.trivial else images

    def _moved(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        count, channels, height, width = images.shape
        reach = 2 * self.padding + 1
        device = images.device
        offsets = to_device(torch.randint(reach, (2, count, 1), generator=generator), device)
        mirrored = to_device(torch.rand(count, 1, generator=generator) < 0.5, device)
        rows = offsets[0] + torch.arange(height, device=device)
        columns = offsets[1] + torch.arange(width, device=device)
        if self.flip:
            columns = torch.where(mirrored, columns.flip(1), columns)
        padded = torch.nn.functional.pad(images, (self.padding,) * 4).flatten(2)
        pixels = rows.unsqueeze(2) * (width + 2 * self.padding) + columns.unsqueeze(1)
        pixels = pixels.view(count, 1, -1).expand(-1, channels, -1)
        return padded.gather(2, pixels).view(images.shape)


def _trivially_changed(images: Tensor, generator: torch.Generator | None) -> Tensor:
    from torchvision.transforms.v2 import TrivialAugmentWide

    change = TrivialAugmentWide()
    with seeded(int(torch.randint(2**31, (), generator=generator)), "trivial augment"):
        return torch.stack([change(image) for image in images])


def augmentation(name: str, data: LabelledData, trivial: bool = False) -> Augmentation:
    """Return the augmentation of that name (auto, none, crop or crop-flip) for data; `auto` is the data's
    own.

    Crops move an image by up to an eighth of its shorter side.

    Args:
        name: of crops and flips.
        data: whose images are changed.
        trivial: whether there is TrivialAugment as well.

    Raises:
        InputError: for an unknown name, crops of what isn't images, or TrivialAugment of other than grey or colour
            images.
    """
    if trivial and (data.kind != "image" or data.train.shapes[0][0] not in (1, 3)):
        raise InputError(
            f"expected grey or colour images for TrivialAugment, found a {data.kind} data set of shape "
            f"{[len(data.train), *data.train.shapes[0]]}; leave --trivial-augment off"
        )
    choose("augmentation", name, AUGMENTATIONS)
    name = data.augmentation if name == "auto" else name
    if name == "none":
        return Augmentation(trivial=trivial)
    if data.kind != "image":
        raise InputError(f"expected images for the augmentation {name}, found a {data.kind} data set; choose none")
    return Augmentation(min(data.train.shapes[0][-2:]) // 8, name == "crop-flip", trivial)


def _pixel_statistics(images: Samples, channels: int) -> list[tuple[float, float]]:
    """Return each channel's mean and standard deviation of uint8 values scaled to 0..1, from their exact counts."""
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for rows in images.in_parts():
        for own, values in zip(counts, images.at(rows)[0].unbind(1), strict=True):
            own += values.reshape(-1).bincount(minlength=256)
    return [_mean_and_deviation(own) for own in counts]


def _mean_and_deviation(counts: Tensor) -> tuple[float, float]:
    share, values = counts.double() / counts.sum(), torch.arange(256, dtype=torch.float64) / 255
    mean = share @ values
    deviation = (share @ (values - mean).square()).sqrt()
    return float(mean), float(deviation) if counts.count_nonzero() > 1 else 1.0


def _column_statistics(x: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    wide = x.double()
    deviation = wide.std(0, correction=0).where(wide.amax(0) > wide.amin(0), 1.0)
    return tuple(wide.mean(0).tolist()), tuple(deviation.tolist())
