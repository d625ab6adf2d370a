"""Losses against values worked out by hand, their derivatives, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn, ops


def rng(*shape):
    return T.randn(*shape, dtype=T.float64, requires_grad=True)


def log_softmax(a):
    return a - np.log(np.exp(a).sum(1, keepdims=True))


@pytest.mark.parametrize("classes", [3, 200])  # both ways to lay the logits out
def test_cross_entropy_is_minus_the_log_probability(classes):
    x, t = rng(5, classes), T.randint(classes, (5,))
    each = -log_softmax(x.array)[np.arange(5), t.array]
    assert F.cross_entropy(x, t).item() == pytest.approx(each.mean(), rel=1e-12)
    assert F.cross_entropy(x, t, reduction="sum").item() == pytest.approx(each.sum(), rel=1e-12)
    np.testing.assert_allclose(F.cross_entropy(x, t, reduction="none").tolist(), each, rtol=1e-12)
    nll = F.nll_loss(F.log_softmax(x, 1), t)
    assert nll.item() == pytest.approx(each.mean(), rel=1e-12)
    for dtype in (T.uint8, T.int32):
        assert F.cross_entropy(x, t.to(dtype)).item() == pytest.approx(each.mean(), rel=1e-12)
    assert autograd.gradcheck(lambda a: F.cross_entropy(a, t), (x,))
    assert autograd.gradcheck(lambda a: F.cross_entropy(a, t, reduction="none"), (x,))


def test_cross_entropy_twice_differentiable():
    x, t = rng(4, 3), T.tensor([0, 2, 1, 1])
    for settings in ({}, {"reduction": "none"}, {"label_smoothing": 0.1}, {"ignore_index": 1}):
        loss = lambda a, s=settings: F.cross_entropy(a, t, **s)  # noqa: E731
        assert autograd.gradcheck(loss, (x,))
        assert autograd.gradgradcheck(loss, (x,))


def test_a_second_backward_gives_the_same_gradient():
    x, t = rng(4, 3), T.tensor([0, 2, 1, 1])
    loss = F.cross_entropy(x, t)
    loss.backward(retain_graph=True)
    first = x.grad.array.copy()
    x.grad = None
    loss.backward()
    np.testing.assert_array_equal(x.grad.array, first)


def test_cross_entropy_survives_large_and_infinite_scores():
    x = T.tensor([[1000.0, 0.0, -math.inf], [-1000.0, 0.0, 5.0]], requires_grad=True)
    loss = F.cross_entropy(x, T.tensor([0, 2]))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-5)) / 2, rel=1e-5)
    loss.backward()
    assert np.isfinite(x.grad.array).all()
    assert F.cross_entropy(x.detach(), T.tensor([2, 2])).item() == math.inf


def test_class_weights_and_ignored_targets():
    x, t = rng(4, 3), T.tensor([0, -100, 1, 2])
    w = T.tensor([1.0, 2.0, 5.0], dtype=T.float64)
    each = -log_softmax(x.array)[np.arange(4), [0, 0, 1, 2]]
    factors = np.array([1.0, 0.0, 2.0, 5.0])
    weighted = F.cross_entropy(x, t, w)
    assert weighted.item() == pytest.approx((each * factors).sum() / 8, rel=1e-12)
    rows = F.cross_entropy(x, t, w, reduction="none")
    np.testing.assert_allclose(rows.tolist(), each * factors, rtol=1e-12)
    plain = F.cross_entropy(x, t).item()
    assert plain == pytest.approx((each * (factors > 0)).sum() / 3, rel=1e-12)
    assert F.cross_entropy(x, T.tensor([0, 2, 1, 2]), ignore_index=2).item() == pytest.approx(
        (each[0] + each[2]) / 2, rel=1e-12
    )
    assert math.isnan(F.cross_entropy(x, T.tensor([-100] * 4)).item())
    F.cross_entropy(x, t).backward()
    assert x.grad[1].tolist() == [0, 0, 0]
    crit = nn.CrossEntropyLoss(w, ignore_index=0, label_smoothing=0.1)
    assert "weight" in crit.state_dict()
    assert autograd.gradcheck(lambda a: crit(a, t.clip(min=0)), (x,))


def test_an_ignored_row_may_hold_infinities():
    x = T.tensor([[0.0, 0.0], [-math.inf, 0.0]])
    assert F.cross_entropy(x, T.tensor([0, -100])).item() == pytest.approx(math.log(2))


def test_label_smoothing_is_the_mixture_of_targets():
    x, t = rng(4, 3), T.tensor([0, 2, 1, 1])
    mixed = np.eye(3)[t.array] * 0.8 + 0.2 / 3
    expected = -(mixed * log_softmax(x.array)).sum(1).mean()
    assert F.cross_entropy(x, t, label_smoothing=0.2).item() == pytest.approx(expected, rel=1e-12)
    onehot = T.tensor(np.eye(3)[t.array])
    soft = F.cross_entropy(x, onehot, label_smoothing=0.2)
    assert soft.item() == pytest.approx(expected, rel=1e-12)


def test_probabilities_as_targets():
    x, t = rng(2, 3), F.softmax(rng(2, 3), 1).detach()
    each = -(t.array * log_softmax(x.array)).sum(1)
    assert F.cross_entropy(x, t).item() == pytest.approx(each.mean(), rel=1e-12)
    np.testing.assert_allclose(F.cross_entropy(x, t, reduction="none").tolist(), each, rtol=1e-12)
    assert autograd.gradcheck(F.cross_entropy, (x, t.requires_grad_()))


def test_other_shapes():
    x, t = rng(2, 3, 4), T.randint(3, (2, 4))
    rows = x.array.transpose(0, 2, 1).reshape(-1, 3)
    each = -log_softmax(rows)[np.arange(8), t.array.reshape(-1)]
    got = F.cross_entropy(x, t, reduction="none")
    np.testing.assert_allclose(got.tolist(), each.reshape(2, 4), rtol=1e-12)
    assert F.cross_entropy(x[0, :, 0], t[0, 0]).item() == pytest.approx(each[0], rel=1e-12)
    assert F.cross_entropy(x[0, :, 0], t[0, 0], reduction="none").shape == ()


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize(
    ("shape", "target", "error", "text"),
    [
        ((2, 3), [0.0, 1.0], RuntimeError, "expected target dtype to be Long or Byte, but got Flo"),
        ((2, 3), [0, 5], IndexError, "Target 5 is out of bounds"),
        ((2, 3), [0, -1], IndexError, "Target -1 is out of bounds"),
        ((2, 3), [0, 1, 2], ValueError, r"input batch_size \(2\) to match target batch_size \(3\)"),
        ((2, 3), [[0, 1], [1, 0]], RuntimeError, r"Expected target size \[2\], got \[2, 2\]"),
        ((2, 3), [True, False], RuntimeError, "to be Long or Byte, but got Bool"),
    ],
)
def test_bad_targets(loss, shape, target, error, text):
    for reduction in ("mean", "none"):
        with pytest.raises(error, match=text):
            loss(T.zeros(shape), T.tensor(target), reduction=reduction)


def test_bad_settings():
    x, t = T.zeros(2, 3), T.tensor([0, 1])
    with pytest.raises(RuntimeError, match=r"label_smoothing must be between 0.0 and 1.0. Got: 2"):
        F.cross_entropy(x, t, label_smoothing=2)
    with pytest.raises(RuntimeError, match="weight tensor should be defined either for all 3"):
        F.cross_entropy(x, t, T.ones(2))
    for make in (nn.CrossEntropyLoss, nn.MSELoss, nn.BCELoss):
        with pytest.raises(ValueError, match="avg is not a valid value for reduction"):
            make(reduction="avg")
    for loss in (F.cross_entropy, F.nll_loss):
        with pytest.raises(ValueError, match="avg is not a valid value for reduction"):
            loss(x, t, reduction="avg")


A = np.array([0.5, -2.0, 3.0])
B = np.array([0.0, 1.0, 3.0])


@pytest.mark.parametrize(
    ("loss", "each"),
    [
        (nn.MSELoss, (A - B) ** 2),
        (nn.L1Loss, abs(A - B)),
        (nn.HuberLoss, [0.125, 2.5, 0]),
        (lambda reduction: nn.HuberLoss(reduction, delta=2.0), [0.125, 4, 0]),
        (lambda reduction: nn.SmoothL1Loss(reduction=reduction, beta=2.0), [0.0625, 2, 0]),
        (lambda reduction: nn.SmoothL1Loss(reduction=reduction, beta=0.0), abs(A - B)),
        (nn.BCEWithLogitsLoss, np.log1p(np.exp(-A)) + (1 - B) * A),
    ],
)
def test_regression_losses(loss, each):
    a, b = T.tensor(A, requires_grad=True), T.tensor(B)
    np.testing.assert_allclose(loss(reduction="none")(a, b).tolist(), each, rtol=1e-12)
    assert loss(reduction="mean")(a, b).item() == pytest.approx(np.mean(each), rel=1e-12)
    assert loss(reduction="sum")(a, b).item() == pytest.approx(np.sum(each), rel=1e-12)
    far = T.tensor([0.7, -0.9, 5.2], dtype=T.float64, requires_grad=True)  # off the kinks
    for reduction in ("none", "mean"):
        assert autograd.gradcheck(loss(reduction=reduction), (far, b))


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss])
def test_a_target_of_another_size_is_a_warning(loss):
    with pytest.warns(UserWarning, match=r"Using a target size .* different to the input size"):
        assert loss(T.zeros(2, 1), T.ones(2)).item() in (1, 0.5)


def test_weights_of_elements():
    a, b, w = T.tensor(A), T.tensor(B), T.tensor([1.0, 0.0, 3.0], dtype=T.float64)
    assert F.mse_loss(a, b, weight=w).item() == pytest.approx(0.25 / 4)
    assert F.l1_loss(a, b, weight=w, reduction="sum").item() == pytest.approx(0.5)


def test_huber_checks_its_width():
    with pytest.raises(RuntimeError, match="non-positive values for delta, got 0"):
        F.huber_loss(T.zeros(1), T.zeros(1), delta=0)
    with pytest.raises(RuntimeError, match="negative values for beta, got -1"):
        F.smooth_l1_loss(T.zeros(1), T.zeros(1), beta=-1)


def test_binary_cross_entropy():
    p = T.tensor([0.2, 0.9, 0.5], dtype=T.float64, requires_grad=True)
    t = T.tensor([0.0, 1.0, 0.3], dtype=T.float64, requires_grad=True)
    each = -(t.array * np.log(p.array) + (1 - t.array) * np.log(1 - p.array))
    got = F.binary_cross_entropy(p, t, reduction="none")
    np.testing.assert_allclose(got.tolist(), each, rtol=1e-12)
    w = T.tensor([1.0, 2.0, 3.0], dtype=T.float64)
    assert nn.BCELoss(w)(p, t).item() == pytest.approx((each * w.array).mean(), rel=1e-12)
    assert autograd.gradcheck(F.binary_cross_entropy, (p, t))
    assert autograd.gradgradcheck(F.binary_cross_entropy, (p, t.detach()))


def test_a_certain_wrong_prediction_costs_100():
    p = T.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(p, T.tensor([1.0, 0.0, 0.0, 1.0]), reduction="none")
    assert loss.tolist() == [100, 100, 0, 0]
    loss.sum().backward()
    assert np.isfinite(p.grad.array).all()


def test_binary_cross_entropy_refuses():
    for bad in ([1.5, 0.0], [-0.1, 0.0], [math.nan, 0.0]):
        with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
            F.binary_cross_entropy(T.tensor(bad), T.zeros(2))
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with pytest.raises(ValueError, match="must be the same as input size"):
            loss(T.zeros(2, 1), T.zeros(2))


def test_bce_with_logits():
    x, t = rng(6), (T.rand(6) > 0.5).double()
    through = F.binary_cross_entropy(x.sigmoid(), t)
    assert F.binary_cross_entropy_with_logits(x, t).item() == pytest.approx(through.item())
    w = T.tensor([1.0, 2.0, 1.0, 3.0, 1.0, 1.0], dtype=T.float64)
    s = 1 / (1 + np.exp(-x.array))
    each = -(w.array * t.array * np.log(s) + (1 - t.array) * np.log(1 - s))
    crit = nn.BCEWithLogitsLoss(pos_weight=w)
    assert crit(x, t).item() == pytest.approx(each.mean(), rel=1e-10)
    assert autograd.gradgradcheck(lambda a: crit(a, t), (x,))
    huge = T.tensor([1e4, -1e4])
    assert F.binary_cross_entropy_with_logits(huge, T.tensor([1.0, 0.0])).item() == 0
    assert F.binary_cross_entropy_with_logits(huge, T.tensor([0.0, 1.0])).item() == 1e4


def test_the_operations_agree():
    x, t = rng(5, 4), np.array([0, 3, 1, 1, 2])
    a = ops.cross_entropy(x, index=t, scale=0.2)
    b = ops.softmax_cross_entropy(x, np.eye(4)[t], scale=0.2)
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    (ga,), (gb,) = autograd.grad(a, [x]), autograd.grad(b, [x])
    np.testing.assert_allclose(ga.array, gb.array, atol=1e-15)
