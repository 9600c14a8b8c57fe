"""Backbones of the libraries: `torchvision:NAME` and `timm:NAME`, adapted to the images at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from metaux.errors import InputError, nearest, reason
from metaux.networks import timm_models, torchvision_models
from metaux.networks.stems import adapt_stem
from metaux.networks.weights import Form

LIBRARIES: dict[str, ModuleType] = {"torchvision": torchvision_models, "timm": timm_models}


def is_of_library(name: str) -> bool:
    """Return whether a backbone's name is one of `library:model`.

    >>> is_of_library("timm:resnet10t"), is_of_library("resnet32")
    (True, False)
    """
    return ":" in name


def library_and_model(name: str) -> tuple[ModuleType, str]:
    """Return the library and the model that a name `library:model` stands for.

    Raises:
        InputError: for an unknown one, or a library that isn't installed.
    """
    prefix, _, model = name.partition(":")
    if prefix not in LIBRARIES:
        raise InputError(
            f"expected a backbone torchvision:NAME or timm:NAME, found '{name}'{nearest(prefix, LIBRARIES)}; give one"
        )
    library = LIBRARIES[prefix]
    library.check(model)
    return library, model


def make_library_trunk(name: str, shape: tuple[int, ...], weights: Path | None = None) -> nn.Module:
    """Make a library's network without its classifier, from images to features `[batch, features]`.

    Its first layers are adapted to the number of channels, and to small images where there is a known recipe.

    Args:
        name: `torchvision:NAME` or `timm:NAME`.
        shape: of an image, `[channels, height, width]`.
        weights: the file that it starts from, if any.

    Raises:
        InputError: for an unknown name, images that the network can't take, or weights that can't be had.

    >>> make_library_trunk("torchvision:resnet18", (1, 8, 8))(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 512])
    """
    library, model = library_and_model(name)
    image = image_shape(shape)
    with refused(name, library.form(model), image):
        trunk: nn.Module = library.build(model, image, weights)
        adapt_stem(trunk, image, pretrained=weights is not None)
        with torch.no_grad():
            features = trunk.eval()(torch.zeros(1, *image))
        if not features.isfinite().all():  # a mean over no pixels
            raise ValueError("nothing of the image is left after the last layer")
    return trunk.train()


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the shape of an image, `[channels, height, width]`; `InputError` for a sample of another form."""
    if len(shape) != 3:
        raise InputError(f"this backbone takes images [channels, height, width], found {list(shape)}; use mlp")
    return shape[0], shape[1], shape[2]


@contextmanager
def refused(name: str, form: Form | None, image: tuple[int, int, int]) -> Iterator[None]:
    """Turn a library's error about images that a network can't take into one line that says which it can."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        suited = "" if form is None else f", for example to {form.size}"
        raise InputError(
            f"expected images that {name} can take, found {list(image)} ({reason(error, 120)}); raise "
            f"--image-size{suited}"
        ) from error
