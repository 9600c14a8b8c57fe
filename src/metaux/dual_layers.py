"""Convolution and batch normalisation of dual tensors, with tangents through the backward pass too.

PyTorch has formulas for both, but for normalisation they take several times as long as all else in a small network,
and for convolutions they compute more than a pass needs that is taken once forward and once backward: the gradient of
the weights, of which only the tangent is used.

**Convolution.** y = x * w has the tangent y' = x' * w + x * w'. A gradient g of y comes back as X(g, w) for x and
W(g, x) for w, linear in both arguments. So X has the tangent X(g', w) + X(g, w'), and W has W(g', x) + W(g, x'): one
call of PyTorch's kernel for (g', x, w) and one for (g, x', w').

**Batch normalisation.** With x^ the normalised input, r the inverse standard deviation and n values per channel,
normalising has the symmetric derivative

    J(v) = r (v - mean(v) - x^ mean(v x^)),    so  x^' = J(x'),  r' = -r^2 mean(x^ x').

The output y = w x^ + b has the tangent w' x^ + w x^' + b'. A gradient g of y comes back as J(w g) = w J(g), sum(g x^)
and sum(g), for x, w and b. Their tangents follow by the product rule, where

    J'(g) = r'/r J(g) - r (x^' mean(g x^) + x^ mean(g x^')).

Each J is one call of PyTorch's own backward kernel.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import Function
from torch.nn import functional

from metaux.functional import TangentsStopWithGradient


class FastDuals(TangentsStopWithGradient):
    """Within the block, layers of dual tensors are those of this file, where they can be, in the forward pass.

    For one pass forward and one backward on one level of duals, of which only tangents are used: the gradient of a
    convolution's weight and bias is 0, its tangent is right.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function, or what takes its place."""
        return super().__torch_function__(_FAST.get(func, func), types, args, kwargs)


def _are_dual(*tensors: Tensor | None) -> bool:
    """Return whether all these tensors have tangents and one type, and are computed in it."""
    given = [value for value in tensors if value is not None]
    return (
        all(forward_ad.unpack_dual(value).tangent is not None for value in given)
        and len({value.dtype for value in given}) == 1
        and not torch.is_autocast_enabled(given[0].device.type)
    )


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Return what `torch.nn.functional.batch_norm` does."""
    if training and weight is not None and bias is not None and _are_dual(x, weight, bias):
        return _BatchNorm.apply(x, weight, bias, running_mean, running_var, momentum, eps)
    return functional.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


def _convolution(function: Callable[..., Tensor], dimensions: int) -> Callable[..., Any]:
    """Return what `torch.conv2d` and its likes do, of so many dimensions."""

    def convolution(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        batched = input.dim() == weight.dim() and input.dtype == weight.dtype
        if isinstance(padding, str) or not batched or not _are_dual(weight, bias):
            return function(input, weight, bias, stride, padding, dilation, groups)
        sizes = [[own] * dimensions if isinstance(own, int) else list(own) for own in (stride, padding, dilation)]
        return _Convolution.apply(input, weight, bias, (*sizes, False, [0] * dimensions, groups))

    return convolution


_FAST: dict[Any, Callable[..., Any]] = {
    functional.batch_norm: _batch_norm,
    torch.conv1d: _convolution(torch.conv1d, 1),
    torch.conv2d: _convolution(torch.conv2d, 2),
    torch.conv3d: _convolution(torch.conv3d, 3),
}


class _Convolution(Function):
    """A convolution of `[batch, channels, ...]`, whose weight and bias are dual."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, options: tuple[Any, ...]) -> Tensor:
        """Return y."""
        ctx.set_materialize_grads(False)
        ctx.kept = x.detach(), weight.detach(), None if bias is None else list(bias.shape), options
        y: Tensor = torch.ops.aten.convolution(x, weight, bias, *options)
        return y

    @staticmethod
    def jvp(
        ctx: Any, x_tangent: Tensor | None, weight_tangent: Tensor, bias_tangent: Tensor | None, _options: None
    ) -> Tensor:
        """Return y'."""
        x, weight, _, options = ctx.kept
        ctx.tangents = x_tangent, weight_tangent
        y_tangent: Tensor = torch.ops.aten.convolution(x, weight_tangent, bias_tangent, *options)
        if x_tangent is not None:
            y_tangent += torch.ops.aten.convolution(x_tangent, weight, None, *options)
        return y_tangent

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, w and b, as dual tensors."""
        x, weight, bias, options = ctx.kept
        x_tangent, weight_tangent = ctx.tangents
        of_y, y_tangent = forward_ad.unpack_dual(gradient)
        pull, learned = torch.ops.aten.convolution_backward, ctx.needs_input_grad[0]
        if y_tangent is None:
            y_tangent = torch.zeros_like(of_y)
        tangents = list(pull(y_tangent, x, weight, bias, *options, [learned, True, bias is not None]))
        values = [None if own is None else torch.zeros_like(own) for own in tangents]
        if x_tangent is not None:
            of_tangents = pull(of_y, x_tangent, weight_tangent, None, *options, [learned, True, False])
            tangents = [a if b is None else a.add_(b) for a, b in zip(tangents, of_tangents, strict=True)]
        elif learned:
            tangents[0] += pull(of_y, x, weight_tangent, None, *options, [True, False, False])[0]
        if learned:
            values[0] = pull(of_y, x, weight, None, *options, [True, False, False])[0]
        pairs = zip(values, tangents, strict=True)
        return *(None if value is None else forward_ad.make_dual(value, own) for value, own in pairs), None


class _BatchNorm(Function):
    """Batch normalisation of `[batch, channels, ...]` in training mode; a vector per channel is shaped to broadcast."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        """Return y; update the running statistics."""
        normal, mean, inverse = torch.native_batch_norm(x, None, None, running_mean, running_var, True, momentum, eps)
        ctx.kept = x.detach(), normal, mean, inverse, weight.detach(), eps
        ctx.shape = [1, -1, *[1] * (x.dim() - 2)]
        return torch.addcmul(bias.view(ctx.shape), normal, weight.view(ctx.shape))

    @staticmethod
    def jvp(ctx: Any, x_tangent: Tensor, weight_tangent: Tensor, bias_tangent: Tensor, *_: None) -> Tensor:
        """Return y'."""
        x, normal, _, inverse, weight, _ = ctx.kept
        normal_tangent, overlap, _total = _projected(ctx, x_tangent)
        ctx.tangents = normal_tangent, -inverse * overlap * (x.shape[1] / x.numel()), weight_tangent
        y_tangent = torch.addcmul(bias_tangent.view(ctx.shape), normal, weight_tangent.view(ctx.shape))
        return y_tangent.addcmul_(normal_tangent, weight.view(ctx.shape))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, w and b, as dual tensors."""
        x, normal, _, inverse, weight, _ = ctx.kept
        normal_tangent, stretch, weight_tangent = ctx.tangents
        of_y, y_tangent = forward_ad.unpack_dual(gradient)
        of_x, overlap, total = _projected(ctx, of_y)
        x_tangent, overlap_tangent, total_tangent = _projected(
            ctx, torch.zeros_like(of_y) if y_tangent is None else y_tangent
        )
        moved = (of_y * normal_tangent).sum([0, *range(2, x.dim())])
        share = -weight * inverse * (x.shape[1] / x.numel())
        x_tangent.mul_(weight.view(ctx.shape))
        x_tangent.addcmul_(of_x, (weight_tangent + weight * stretch).view(ctx.shape))
        x_tangent.addcmul_(normal_tangent, (share * overlap).view(ctx.shape))
        x_tangent.addcmul_(normal, (share * moved).view(ctx.shape))
        values = of_x.mul_(weight.view(ctx.shape)), overlap, total
        tangents = x_tangent, overlap_tangent + moved, total_tangent
        duals = [forward_ad.make_dual(*pair) for pair in zip(values, tangents, strict=True)]
        return *duals, None, None, None, None


def _projected(ctx: Any, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return J(v), sum(v x^) and sum(v)."""
    x, _, mean, inverse, _, eps = ctx.kept
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
        v, x, None, None, None, mean, inverse, True, eps, [True, True, True]
    )
    return found
