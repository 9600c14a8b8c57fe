"""Layers of dual tensors against PyTorch's own formulas: values, tangents, and both of what comes back."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, autograd
from torch.autograd import forward_ad
from torch.nn import functional

from metaux.dual_layers import FastDuals
from metaux.functional import load_forward_formulas

pytestmark = pytest.mark.usefixtures("in_float64")
CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}


class Passed:
    """A pass forward and back, of duals: the output, its tangent, and of each input what comes back.

    Args:
        layer: called with the duals.
        given: the inputs; those that require a gradient get one.
        dual: of which inputs there are tangents.
        fast: whether layers of dual tensors are those of the package.
    """

    def __init__(self, layer: Callable[..., Tensor], given: list[Tensor | None], dual: list[bool], fast: bool):
        load_forward_formulas()
        torch.manual_seed(1)
        directions = [None if value is None else torch.randn_like(value) for value in given]
        with forward_ad.dual_level(), FastDuals() if fast else nullcontext():
            duals = [
                forward_ad.make_dual(value, own) if value is not None and own is not None and is_dual else value
                for value, own, is_dual in zip(given, directions, dual, strict=True)
            ]
            y = layer(*duals)
            self.name = type(y.grad_fn).__name__
            with torch._C.DisableTorchFunction():
                learned = [value for value in given if value is not None and value.requires_grad]
                slopes = autograd.grad((y.sin() * y).sum(), learned)
            self.output = forward_ad.unpack_dual(y)
            self.found = [forward_ad.unpack_dual(slope) for slope in slopes]


def assert_alike(layer: Callable[..., Tensor], given: list[Tensor | None], dual: list[bool], name: str) -> None:
    """Both give the same; by the package it is the function of this name that is called."""
    own, known = (Passed(layer, given, dual, fast) for fast in (True, False))
    assert own.name == name
    torch.testing.assert_close(own.output.primal, known.output.primal)
    torch.testing.assert_close(own.output.tangent, known.output.tangent)
    for found, expected in zip(own.found, known.found, strict=True):
        torch.testing.assert_close(found.tangent, expected.tangent)
    if given[0] is not None and given[0].requires_grad:  # of weight and bias, the tangents alone are used
        torch.testing.assert_close(own.found[0].primal, known.found[0].primal)


def numbers(*shape: int, seed: int = 0, learned: bool = True) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_(learned)


def convolved(dimensions: int, bias: bool, groups: int = 1, learned: bool = True) -> list[Tensor | None]:
    x = numbers(3, 4, *[7] * dimensions, learned=learned)
    return [x, numbers(6, 4 // groups, *[3] * dimensions, seed=1), numbers(6, seed=2) if bias else None]


OPTIONS = [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("x", ["dual and learned", "learned", "dual", "neither"])
@pytest.mark.parametrize("named", OPTIONS, ids=str)
@pytest.mark.parametrize("dimensions", CONVOLUTIONS)
def test_convolution(dimensions: int, named: dict[str, Any], x: str, bias: bool) -> None:
    given = convolved(dimensions, bias, named.get("groups", 1), "learned" in x)

    def layer(*duals: Tensor) -> Tensor:
        y: Tensor = CONVOLUTIONS[dimensions](*duals, **named)
        return y

    assert_alike(layer, given, ["dual" in x, True, True], "_ConvolutionBackward")


def test_a_size_for_each_dimension() -> None:
    def layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.conv2d(x, weight, bias, (2, 1), [0, 2])

    assert_alike(layer, convolved(2, True), [True, True, True], "_ConvolutionBackward")


@pytest.mark.parametrize(
    ("x", "dual", "named"),
    [
        ((3, 4, 7, 7), [True, True, True], {"padding": "same"}),
        ((4, 7, 7), [True, True, True], {}),  # without a batch
        ((3, 4, 7, 7), [True, False, True], {}),
        ((3, 4, 7, 7), [True, True, False], {}),
    ],
    ids=["padding by name", "no batch", "weight", "bias"],
)
def test_other_convolutions_are_pytorchs(x: tuple[int, ...], dual: list[bool], named: dict[str, Any]) -> None:
    own = Passed(lambda *duals: torch.conv2d(*duals, **named), [numbers(*x), *convolved(2, True)[1:]], dual, True)
    assert own.name.endswith(("ConvolutionBackward0", "SqueezeBackward1"))


def normalised(dimensions: int) -> list[Tensor | None]:
    return [numbers(5, 3, *[4] * dimensions), numbers(3, seed=1), numbers(3, seed=2)]


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("dimensions", [0, 1, 2, 3])
def test_batch_normalisation(dimensions: int, learned: bool) -> None:
    statistics = [[torch.zeros(3), torch.ones(3)] for _ in range(2)]
    kept = iter(statistics)

    def layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean, variance = next(kept)
        return functional.batch_norm(x, mean, variance, weight, bias, True)

    given = normalised(dimensions)
    assert given[0] is not None
    given[0].requires_grad_(learned)
    assert_alike(layer, given, [True, True, True], "_BatchNormBackward")
    for own_statistic, expected in zip(*statistics, strict=True):
        assert own_statistic.equal(expected)


@pytest.mark.parametrize(
    ("training", "dual"),
    [(False, [True, True, True]), (True, [True, False, True]), (True, [False, True, True])],
    ids=["evaluation", "weight", "input"],
)
def test_other_normalisations_are_pytorchs(training: bool, dual: list[bool]) -> None:
    def layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.batch_norm(x, torch.zeros(3), torch.ones(3), weight, bias, training)

    assert_alike(layer, normalised(2), dual, Passed(layer, normalised(2), dual, False).name)


def test_normalisation_without_weight_is_pytorchs() -> None:
    def layer(x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, training=True)

    assert_alike(layer, normalised(2)[:1], [True], Passed(layer, normalised(2)[:1], [True], False).name)


def test_a_normalisation_in_two_precisions_is_pytorchs() -> None:
    given = normalised(2)
    assert given[0] is not None
    given[0] = given[0].detach().to(torch.bfloat16).requires_grad_()
    given[1:] = [part.detach().float().requires_grad_() for part in given[1:] if part is not None]

    def layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, weight, bias, True).float()

    assert_alike(layer, given, [True, True, True], Passed(layer, given, [True, True, True], False).name)
