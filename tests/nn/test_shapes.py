"""Bilinear, Unflatten, and the public functions behind layers that other files do not call."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn


def test_bilinear():
    rng = np.random.default_rng(0)
    a, b, w, bias = (rng.standard_normal(s) for s in [(2, 5, 3), (2, 5, 4), (6, 3, 4), (6,)])
    expected = np.einsum("nti,oij,ntj->nto", a, w, b) + bias
    inputs = [T.tensor(x, requires_grad=True) for x in (a, b, w, bias)]
    np.testing.assert_allclose(F.bilinear(*inputs).detach(), expected, rtol=1e-12)
    np.testing.assert_allclose(F.bilinear(*inputs[:3]).detach(), expected - bias, rtol=1e-12)
    assert F.bilinear(*(x[0, 0] for x in inputs[:2]), *inputs[2:]).shape == (6,)
    assert F.bilinear(T.zeros(0, 3), T.zeros(0, 4), T.zeros(6, 3, 4)).shape == (0, 6)
    small = [x[:1] for x in inputs]
    assert autograd.gradcheck(F.bilinear, small)
    layer = nn.Bilinear(100, 4, 50)
    assert layer.weight.abs().max().item() == pytest.approx(0.1, rel=0.01)
    assert layer.bias.abs().max().item() <= 0.1


def test_unflatten():
    x = T.arange(12).reshape(2, 6)
    assert nn.Unflatten(1, (2, 3))(x).tolist() == x.reshape(2, 2, 3).tolist()
    assert nn.Unflatten(-1, [-1, 2])(x).shape == (2, 3, 2)


def test_triplets_with_a_distance_of_ones_own():
    a, b, c = T.tensor([0.0, 1.0]), T.tensor([1.0, 1.0]), T.tensor([3.0, 1.0])
    city = lambda x, y: (x - y).abs().sum(-1)  # noqa: E731
    loss = F.triplet_margin_with_distance_loss(a, b, c, distance_function=city, margin=3.0)
    assert loss.item() == 1
    swapped = F.triplet_margin_with_distance_loss(
        a, b, c, distance_function=city, margin=3.0, swap=True
    )
    assert swapped.item() == 2


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: nn.Bilinear(0, 1, 1), ValueError, "in1_features must be > 0"),
        (lambda: nn.Bilinear(2, 3, 1)(T.ones(4, 3), T.ones(4, 3)), RuntimeError,
         "input1 size does not match weight size"),
        (lambda: nn.Bilinear(2, 3, 1)(T.ones(4, 2), T.ones(5, 3)), RuntimeError,
         "input batch dimensions do not match"),
        (lambda: nn.Unflatten(1, 3), TypeError, "must be a tuple of ints, but found type int"),
        (lambda: nn.Unflatten(1, (2, "a")), TypeError, "element of type str at pos 1"),
        (lambda: nn.Unflatten(1, (2, 4))(T.ones(4, 6)), RuntimeError, "multiply up to the size"),
    ],
)  # fmt: skip
def test_errors(act, error, text):
    with pytest.raises(error, match=text):
        act()
