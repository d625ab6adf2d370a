"""The rarer losses against NumPy: values, reductions, derivatives, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn

RNG = np.random.default_rng(0)
A, B, C = RNG.standard_normal((3, 5, 3))
P, Q = RNG.uniform(0.1, 0.9, (2, 5, 3))
SIGNS, ROW_SIGNS = np.sign(B), np.array([1, -1, -1, 1, -1])
CLASSES = np.array([0, 2, 1, 1, 0])
LABELS = np.array([[2, 0, -1], [-1, 1, 1], [1, -1, 0], [0, 1, 2], [2, -1, -1]])
W = np.array([1.0, 0.5, 2.0])


def distance(a, b, p=2.0, eps=1e-6):
    return (abs(a - b + eps) ** p).sum(-1) ** (1 / p)


def cosine(a, b):
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def hinge(x):
    return np.maximum(x, 0)


def multi_margin(x, p=1, margin=1.0, weight=(1, 1, 1)):
    return [
        sum(weight[y] * max(0, margin - row[y] + row[c]) ** p for c in range(3) if c != y) / 3
        for row, y in zip(x, CLASSES, strict=True)
    ]


def multilabel_margin(x):
    total = []
    for row, listed in zip(x, LABELS, strict=True):
        right = list(listed[: list(listed).index(-1)]) if -1 in listed else list(listed)
        wrong = [c for c in range(3) if c not in right]
        total.append(sum(max(0, 1 - row[r] + row[w]) for r in right for w in wrong) / 3)
    return total


def log_sigmoid(x):
    return -np.log1p(np.exp(-x))


# name -> (loss of reduction, inputs that have gradients, other inputs, the loss of each example)
LOSSES = {
    "kl_div": (nn.KLDivLoss(), [A, P], [], P * (np.log(P) - A)),
    "kl_div of logarithms": (nn.KLDivLoss(log_target=True), [A, B], [], np.exp(B) * (B - A)),
    "poisson": (nn.PoissonNLLLoss(), [A, B], [], np.exp(A) - B * A),
    "poisson of rates": (
        nn.PoissonNLLLoss(log_input=False, eps=0.1), [P, B], [], P - B * np.log(P + 0.1)),
    "poisson in full": (
        nn.PoissonNLLLoss(full=True), [A], [5 * P],
        np.exp(A) - 5 * P * A + np.where(
            5 * P > 1, 5 * P * np.log(5 * P) - 5 * P + np.log(2 * math.pi * 5 * P) / 2, 0)),
    "gaussian": (nn.GaussianNLLLoss(), [A, B, P], [], (np.log(P) + (A - B) ** 2 / P) / 2),
    "gaussian in full": (
        nn.GaussianNLLLoss(full=True), [A, B, P[:, 0]], [],
        (np.log(2 * math.pi * P[:, :1]) + (A - B) ** 2 / P[:, :1]) / 2),
    "soft margin": (nn.SoftMarginLoss(), [A], [SIGNS], -log_sigmoid(SIGNS * A)),
    "hinge embedding": (
        nn.HingeEmbeddingLoss(margin=0.7), [A], [SIGNS], np.where(SIGNS > 0, A, hinge(0.7 - A))),
    "cosine embedding": (
        nn.CosineEmbeddingLoss(margin=0.1), [A, B], [ROW_SIGNS],
        np.where(ROW_SIGNS > 0, 1 - cosine(A, B), hinge(cosine(A, B) - 0.1))),
    "margin ranking": (
        nn.MarginRankingLoss(margin=0.2), [A, B], [SIGNS], hinge(0.2 - SIGNS * (A - B))),
    "triplet": (
        nn.TripletMarginLoss(margin=0.5, p=3, eps=0.01), [A, B, C], [],
        hinge(0.5 + distance(A, B, 3, 0.01) - distance(A, C, 3, 0.01))),
    "triplet, swapped": (
        nn.TripletMarginLoss(swap=True), [A, B, C], [],
        hinge(1 + distance(A, B) - np.minimum(distance(A, C), distance(B, C)))),
    "triplet of angles": (
        nn.TripletMarginWithDistanceLoss(
            distance_function=lambda a, b: 1 - F.cosine_similarity(a, b), margin=0.4),
        [A, B, C], [], hinge(0.4 - cosine(A, B) + cosine(A, C))),
    "multi margin": (nn.MultiMarginLoss(), [A], [CLASSES], multi_margin(A)),
    "multi margin, squared": (
        nn.MultiMarginLoss(p=2, margin=0.7, weight=T.tensor(W)), [A], [CLASSES],
        multi_margin(A, 2, 0.7, W)),
    "multilabel margin": (nn.MultiLabelMarginLoss(), [A], [LABELS], multilabel_margin(A)),
    "multilabel soft margin": (
        nn.MultiLabelSoftMarginLoss(weight=T.tensor(W)), [A], [P],
        (-(P * log_sigmoid(A) + (1 - P) * log_sigmoid(-A)) * W).mean(1)),
    "BCE with everything": (
        nn.BCEWithLogitsLoss(weight=T.tensor(W), pos_weight=T.tensor(2 * W)), [A, P], [],
        -W * (2 * W * P * log_sigmoid(A) + (1 - P) * log_sigmoid(-A))),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*divides the total loss")
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    loss, smooth, constant, each = LOSSES[name]
    inputs = [T.tensor(x, requires_grad=True) for x in smooth]
    rest = [T.tensor(x) for x in constant]
    for reduction, expected in [("none", each), ("sum", np.sum(each)), ("mean", np.mean(each))]:
        loss.reduction = reduction
        got = loss(*inputs, *rest)
        np.testing.assert_allclose(got.detach(), expected, rtol=1e-7 if "cosine" in name else 1e-10)
        assert autograd.gradcheck(lambda *xs: loss(*xs, *rest), inputs)
    assert autograd.gradgradcheck(lambda *xs: loss(*xs, *rest), inputs)
    singles = [T.tensor(x.astype("float32"), requires_grad=True) for x in smooth]
    y = loss(
        *singles, *(x.float() if x.dtype == np.float64 and "W" not in name else x for x in rest)
    )
    y.backward()
    assert all(x.grad.dtype == np.float32 for x in singles)


def test_kl_div_divides_by_the_batch_only_if_asked():
    x, t = T.tensor(A), T.tensor(P)
    total = F.kl_div(x, t, reduction="sum").item()
    assert F.kl_div(x, t, reduction="batchmean").item() == pytest.approx(total / 5)
    assert nn.KLDivLoss(reduction="batchmean")(x, t).item() == pytest.approx(total / 5)
    with pytest.warns(UserWarning, match="'batchmean' divides only by the batch size"):
        assert F.kl_div(x, t).item() == pytest.approx(total / 15)


def test_variances_are_at_least_eps():
    var = T.tensor([0.0, 4.0], requires_grad=True)
    loss = F.gaussian_nll_loss(T.ones(2), T.zeros(2), var, eps=0.5, reduction="none")
    np.testing.assert_allclose(loss.tolist(), [(math.log(0.5) + 2) / 2, (math.log(4) + 1 / 4) / 2])
    loss.sum().backward()  # as if the variance were eps
    np.testing.assert_allclose(var.grad, [(2 - 4) / 2, (1 / 4 - 1 / 16) / 2])
    assert F.gaussian_nll_loss(T.ones(2), T.zeros(2), 2.0).item() == pytest.approx(
        (math.log(2) + 0.5) / 2
    )


def test_margins_of_single_examples():
    x = T.tensor(A[0])
    assert F.multi_margin_loss(x, T.tensor(0)).item() == pytest.approx(multi_margin(A)[0])
    one = F.multilabel_margin_loss(x, T.tensor(LABELS[0]), reduction="none")
    assert one.shape == ()
    assert one.item() == pytest.approx(multilabel_margin(A)[0])
    angle = F.cosine_embedding_loss(x, T.tensor(B[0]), T.tensor(1))
    assert angle.item() == pytest.approx(1 - cosine(A[0], B[0]))


def test_soft_margins_do_not_overflow():
    x = T.tensor([1e4, -1e4], requires_grad=True)
    loss = F.soft_margin_loss(x, T.tensor([-1.0, -1.0]), reduction="none")
    assert loss.tolist() == [1e4, 0]
    loss.sum().backward()
    assert x.grad.tolist() == [1, 0]
    assert F.multilabel_soft_margin_loss(x, T.tensor([0.0, 0.0])).item() == 5e3


def test_distances():
    a, b = T.tensor(A, requires_grad=True), T.tensor(B, requires_grad=True)
    np.testing.assert_allclose(F.pairwise_distance(a, b).detach(), distance(A, B), rtol=1e-12)
    np.testing.assert_allclose(F.cosine_similarity(a, b).detach(), cosine(A, B), rtol=1e-12)
    assert F.pairwise_distance(a, b, keepdim=True).shape == (5, 1)
    assert F.cosine_similarity(T.zeros(2), T.ones(2), dim=0).item() == 0
    for f in (F.pairwise_distance, F.cosine_similarity):
        assert autograd.gradcheck(f, [a, b])
        assert autograd.gradgradcheck(f, [a, b])
    out = T.zeros(5, 3, dtype=T.float64)
    assert F.normalize(T.tensor(A), dim=0, out=out) is out
    np.testing.assert_allclose(np.linalg.norm(out.array, axis=0), 1)


OLD = [
    ({"size_average": False}, "sum"), ({"size_average": True}, "mean"), ({"reduce": False}, "none"),
    ({"reduce": False, "size_average": True}, "none"), ({"reduce": True}, "mean"),
]  # fmt: skip
TAKING_OLD = {
    F.mse_loss: (A, B), F.l1_loss: (A, B), F.smooth_l1_loss: (A, B), F.cross_entropy: (A, CLASSES),
    F.nll_loss: (A, CLASSES), F.binary_cross_entropy: (P, Q), F.kl_div: (A, P),
    F.binary_cross_entropy_with_logits: (A, P), F.poisson_nll_loss: (A, P),
    F.soft_margin_loss: (A, SIGNS), F.hinge_embedding_loss: (A, SIGNS),
    F.cosine_embedding_loss: (A, B, ROW_SIGNS), F.margin_ranking_loss: (A, B, SIGNS),
    F.triplet_margin_loss: (A, B, C), F.multi_margin_loss: (A, CLASSES),
    F.multilabel_margin_loss: (A, LABELS), F.multilabel_soft_margin_loss: (A, P),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), OLD)
@pytest.mark.parametrize("function", TAKING_OLD, ids=lambda f: f.__name__)
def test_the_old_names_of_reduction_warn(function, old, new):
    inputs = [T.tensor(x) for x in TAKING_OLD[function]]
    with pytest.warns(UserWarning, match=f"please use reduction='{new}' instead"):
        got = function(*inputs, **old)
    if function is not F.kl_div or new != "mean":
        np.testing.assert_array_equal(got, function(*inputs, reduction=new))
    with pytest.warns(UserWarning, match="args will be deprecated"):
        assert nn.MSELoss(**old).reduction == new


z = T.zeros


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: F.gaussian_nll_loss(z(3, 2), z(3, 2), z(3, 2) - 1), ValueError, "negative entry"),
        (lambda: F.gaussian_nll_loss(z(3, 2), z(3, 2), z(2)), ValueError, "incorrect size"),
        (lambda: F.gaussian_nll_loss(z(3, 2), z(3, 2), z(3, 3)), ValueError, "incorrect size"),
        (lambda: F.cosine_embedding_loss(z(2), z(2), z(1)), RuntimeError,
         "1D target tensor expects 2D input tensors"),
        (lambda: F.margin_ranking_loss(z(3), z(2, 3), z(3)), RuntimeError,
         "All input tensors should have same dimension"),
        (lambda: F.triplet_margin_loss(z(1, 2), z(1, 2), z(2)), RuntimeError,
         "expected to have the same number of dimensions"),
        (lambda: F.triplet_margin_loss(z(1, 2), z(1, 2), z(1, 2), 0), ValueError,
         "margin must be greater than 0, got 0"),
        (lambda: nn.TripletMarginLoss(-1), ValueError, "expected margin to be greater than 0"),
        (lambda: F.multi_margin_loss(z(3, 2), z(3).long(), p=3), ValueError, "only p == 1 and p"),
        (lambda: nn.MultiMarginLoss(p=3), ValueError, "only p == 1 and p == 2 supported"),
        (lambda: nn.MultiMarginLoss(weight=z(1, 2)), ValueError, "None or 1D tensor, got 2D"),
        (lambda: F.multi_margin_loss(z(3, 2), z(2).long()), RuntimeError,
         r"Expected target size \[3\], but got \[2\]"),
        (lambda: F.multi_margin_loss(z(3, 2), z(3).long() + 2), RuntimeError, "target out of rang"),
        (lambda: F.multi_margin_loss(z(3, 2), z(3).long(), weight=z(3)), RuntimeError,
         "inconsistent weight size, expected 2"),
        (lambda: F.multi_margin_loss(z(3, 2, 2), z(3).long()), RuntimeError, "non-empty vector or"),
        (lambda: F.multilabel_margin_loss(z(3, 2), z(1, 2).long()), RuntimeError,
         "inconsistent target size"),
        (lambda: F.multilabel_margin_loss(z(2), z(2)), RuntimeError, "expected scalar type Long"),
        (lambda: F.multilabel_margin_loss(z(2), z(2).long() + 2), RuntimeError, "is out of range"),
        (lambda: F.mse_loss(z(3), z(3), weight=z(2)), ValueError, "must have the same size"),
        (lambda: F.cross_entropy(z(3, 2), z(3, 2), ignore_index=0), RuntimeError,
         "ignore_index is not supported for floating point target"),
    ],
)  # fmt: skip
def test_errors(act, error, text):
    with pytest.raises(error, match=text):
        act()


def test_weights_of_the_huber_loss_do_not_change_what_mean_divides_by():
    w = T.tensor([2.0, 0.0])
    assert F.huber_loss(T.ones(2), T.zeros(2), weight=w).item() == 0.5
    assert F.mse_loss(T.ones(2), T.zeros(2), weight=w).item() == 1


def test_cosines_may_be_written_to_before_backward():
    a = T.randn(4, 5, requires_grad=True)
    b = T.randn(4, 5)
    cosines = F.cosine_similarity(a, b)
    cosines /= 0.5
    cosines.sum().backward()
    expected = T.autograd.grad(2 * F.cosine_similarity(a, b).sum(), a)[0]
    np.testing.assert_allclose(a.grad, expected, rtol=1e-6)
