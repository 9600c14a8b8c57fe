import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from metaux import Hierarchy, entropy_loss, focal_loss, mask_softmax
from metaux.losses import focal_losses

GAMMAS = [0.0, 1.0, 2.0, 5.0]


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def distributions(*shape: int, seed: int = 1) -> Tensor:
    return random(*shape, seed=seed).softmax(-1)


class TestMaskSoftmax:
    def test_value_worked_out_by_hand(self) -> None:
        # exp(0) : exp(log 3) = 1 : 3 within the class; the third slot belongs to another class
        logits = torch.tensor([[0.0, math.log(3), 7.0]], dtype=torch.float64)
        found = mask_softmax(logits, Hierarchy([2, 1]).mask(torch.tensor([0])))
        torch.testing.assert_close(found, torch.tensor([[0.25, 0.75, 0.0]], dtype=torch.float64))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("scale", [1.0, 1e4, -1e4])
    @pytest.mark.parametrize("psi", [[1], [1, 3, 2], [5, 5]])
    @pytest.mark.parametrize("batch", [1, 7])
    def test_is_a_distribution_over_the_own_slots(
        self, dtype: torch.dtype, scale: float, psi: list[int], batch: int
    ) -> None:
        hierarchy = Hierarchy(psi)
        logits = (random(batch, hierarchy.size).sign() * scale).to(dtype).requires_grad_()
        mask = hierarchy.mask(torch.arange(batch) % hierarchy.classes)
        labels = mask_softmax(logits, mask)
        wide = torch.promote_types(dtype, torch.float32)
        assert labels.dtype == wide
        assert labels[~mask].eq(0).all()
        torch.testing.assert_close(labels.sum(-1), torch.ones(batch, dtype=wide))
        labels.square().sum().backward()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()
        assert logits.grad[~mask].eq(0).all()

    @given(st.floats(-1e3, 1e3))
    def test_does_not_change_with_a_shift(self, shift: float) -> None:
        mask = Hierarchy([2, 3]).mask(torch.tensor([0, 1, 1]))
        logits = random(3, 5)
        torch.testing.assert_close(mask_softmax(logits + shift, mask), mask_softmax(logits, mask))

    def test_gradient(self) -> None:
        mask = Hierarchy([2, 3]).mask(torch.tensor([0, 1, 1]))
        assert torch.autograd.gradcheck(lambda z: mask_softmax(z, mask), random(3, 5).requires_grad_())


class TestFocalLoss:
    def test_value_worked_out_by_hand(self) -> None:
        # p = (1/4, 3/4): -(3/4)^2 log(1/4) and -(1/4)^2 log(3/4)
        logits = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64)
        expected = [[9 / 16 * math.log(4), 1 / 16 * math.log(4 / 3)]]
        torch.testing.assert_close(focal_losses(logits), torch.tensor(expected, dtype=torch.float64))

    @pytest.mark.parametrize(("gamma", "factors"), [(0.0, [1, 1]), (1.0, [3 / 4, 1 / 4]), (3.0, [27 / 64, 1 / 64])])
    def test_each_gamma_worked_out_by_hand(self, gamma: float, factors: list[float]) -> None:
        logits = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64)
        expected = torch.tensor([[factors[0] * math.log(4), factors[1] * math.log(4 / 3)]], dtype=torch.float64)
        torch.testing.assert_close(focal_losses(logits, gamma), expected)
        for target in (0, 1):
            torch.testing.assert_close(focal_loss(logits, torch.tensor([target]), gamma), expected[0, target])

    def test_gamma_zero_is_cross_entropy(self) -> None:
        logits, classes = random(8, 5, scale=3), torch.arange(8) % 5
        expected = functional.cross_entropy(logits, classes)
        torch.testing.assert_close(focal_loss(logits, classes, 0), expected, rtol=1e-15, atol=0)
        soft = distributions(8, 5)
        expected = functional.cross_entropy(logits, soft)
        torch.testing.assert_close(focal_loss(logits, soft, 0), expected, rtol=1e-15, atol=1e-15)

    @pytest.mark.parametrize("gamma", GAMMAS)
    def test_class_is_its_one_hot_distribution(self, gamma: float) -> None:
        logits, classes = random(8, 5), torch.arange(8) % 5
        one_hot = functional.one_hot(classes, 5).double()
        torch.testing.assert_close(focal_loss(logits, classes, gamma), focal_loss(logits, one_hot, gamma))

    @given(st.floats(-2, 2), st.floats(-2, 2))
    @settings(max_examples=20)
    def test_is_linear_in_the_target(self, a: float, b: float) -> None:
        logits, s, t = random(4, 3), distributions(4, 3, seed=2), distributions(4, 3, seed=3)
        together = focal_loss(logits, a * s + b * t)
        torch.testing.assert_close(together, a * focal_loss(logits, s) + b * focal_loss(logits, t))

    def test_weight_is_a_factor_per_sample(self) -> None:
        logits, classes, weight = random(4, 3), torch.tensor([0, 1, 2, 0]), torch.tensor([0.0, 1.0, 2.0, 5.0])
        each = torch.stack([focal_loss(logits[i : i + 1], classes[i : i + 1]) for i in range(4)])
        torch.testing.assert_close(focal_loss(logits, classes, weight=weight), (weight * each).mean())

    @pytest.mark.parametrize("gamma", GAMMAS)
    @pytest.mark.parametrize("target", [0, 1])
    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
    def test_finite_where_p_is_zero_and_one(self, gamma: float, target: int, dtype: torch.dtype) -> None:
        logits = torch.tensor([[1e4, -1e4]], dtype=dtype, requires_grad=True)
        loss = focal_loss(logits, torch.tensor([target]), gamma)
        loss.backward()
        assert logits.grad is not None
        assert loss.isfinite()
        assert logits.grad.isfinite().all()

    @pytest.mark.parametrize("gamma", [0.5, -1.0, float("nan")])
    def test_refuses_gammas_with_infinite_gradients(self, gamma: float) -> None:
        with pytest.raises(ValueError, match="expected gamma 0 or at least 1"):
            focal_losses(random(1, 2), gamma)

    @pytest.mark.parametrize("gamma", GAMMAS)
    def test_gradient(self, gamma: float) -> None:
        soft = distributions(4, 3)
        logits = random(4, 3).requires_grad_()
        assert torch.autograd.gradcheck(lambda z: focal_loss(z, soft, gamma), logits)
        assert torch.autograd.gradgradcheck(lambda z: focal_loss(z, soft, gamma), logits)


class TestEntropyLoss:
    def test_least_where_all_subclasses_are_used_alike(self) -> None:
        assert entropy_loss(torch.full((3, 4), 0.25)).item() == pytest.approx(-math.log(4))
        assert entropy_loss(torch.eye(4)[[0, 0, 0]]).item() == 0

    def test_half_precision_is_computed_in_single(self) -> None:
        labels = (torch.full((50, 5), 0.2) + 0.01 * random(50, 5).float()).bfloat16().requires_grad_()
        wide = labels.detach().float().requires_grad_()
        assert entropy_loss(labels).equal(entropy_loss(wide))
        found, expected = (torch.autograd.grad(entropy_loss(x), x)[0] for x in (labels, wide))
        assert found.equal(expected.bfloat16())

    def test_finite_with_a_class_missing_from_the_batch(self) -> None:
        labels = torch.tensor([[0.5, 0.5, 0.0, 0.0]], requires_grad=True)
        loss = entropy_loss(labels)
        loss.backward()
        assert loss.item() == pytest.approx(-math.log(2))
        assert labels.grad is not None
        # d/dm (m log m) = 1 + log m; and 0 for what no sample of the batch can change
        torch.testing.assert_close(labels.grad, torch.tensor([[1 - math.log(2)] * 2 + [0.0] * 2]))

    def test_gradient(self) -> None:
        assert torch.autograd.gradcheck(entropy_loss, distributions(5, 4).requires_grad_())
