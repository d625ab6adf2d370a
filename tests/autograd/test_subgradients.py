"""Kinks, poles and equal values: a finite gradient where the limit, or PyTorch's choice, is finite.

Where PyTorch 2.13 gives NaN and a limit exists, the limit stands here.
"""

import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn

F = nn.functional
INF, NAN = math.inf, math.nan
HALF_ROOT = math.sqrt(0.5)
FIVE = 5 + 1e-7  # renorm adds this to a norm


def gradient(function, values, dtype="float64"):
    x = tg.tensor(np.asarray(values, dtype), requires_grad=True)
    function(x).sum().backward()
    return x.grad.numpy()


CASES = {
    "std: equal": (lambda x: x.std(1), [[3.0, 3.0], [1.0, 2.0]], [[0, 0], [-HALF_ROOT, HALF_ROOT]]),
    "std: equal, not exact": (lambda x: x.std(), [0.1] * 7, [0] * 7),
    "std: kept": (lambda x: x.std(0, keepdim=True), [2.0, 2.0, 2.0], [0, 0, 0]),
    "std_mean: equal": (lambda x: tg.std_mean(x)[0], [3.0, 3.0], [0, 0]),
    "var: equal": (lambda x: x.var(), [3.0, 3.0], [0, 0]),
    "normalize: zeros": (lambda x: F.normalize(x, dim=0), [0.0, 0.0], [1e12, 1e12]),
    "pairwise_distance": (
        lambda x: F.pairwise_distance(x, tg.zeros(1, 2, dtype=x.dtype), eps=0.0), [[0.0, 0.0]],
        [[0, 0]]),
    "cosine_similarity: zeros": (
        lambda x: F.cosine_similarity(x, tg.ones(2, dtype=x.dtype), dim=0), [0.0, 0.0],
        [HALF_ROOT * 1e8] * 2),
    "hypot: origin": (lambda x: tg.hypot(x[0], x[1]), [0.0, 0.0], [0, 0]),
    "atan2: origin": (lambda x: tg.atan2(x[0], x[1]), [0.0, 0.0], [0, 0]),
    "atan2: infinite": (lambda x: tg.atan2(x[0], x[1]), [INF, 1.0], [0, 0]),
    "huber: infinite": (
        lambda x: F.huber_loss(x, 0 * x.detach().nan_to_num(), reduction="sum"),
        [INF, -INF, 2.0, 0.5], [1, -1, 1, 0.5]),
    "smooth_l1: infinite": (
        lambda x: F.smooth_l1_loss(x, 0 * x.detach().nan_to_num(), reduction="sum", beta=0.5),
        [INF, -INF, 0.25], [1, -1, 0.5]),
    "l1: infinite": (
        lambda x: F.l1_loss(x, 0 * x.detach().nan_to_num(), reduction="sum"), [INF, -INF],
        [1, -1]),
    "logaddexp: -inf": (lambda x: tg.logaddexp(x[0], x[1]), [-INF, -INF], [0.5, 0.5]),
    "logaddexp: inf": (lambda x: tg.logaddexp(x[0], x[1]), [INF, 1.0], [1, 0]),
    "logsumexp: -inf": (lambda x: x.logsumexp(0), [-INF, -INF], [0, 0]),
    "logsumexp: one -inf": (lambda x: x.logsumexp(0), [-INF, 1.0], [0, 1]),
    "logcumsumexp: -inf": (lambda x: x.logcumsumexp(0), [-INF, 0.0], [1, 1]),
    "log_softmax: -inf": (lambda x: x.log_softmax(0)[1], [-INF, 0.0], [0, 0]),
    "xlogy: x = 0": (lambda x: tg.xlogy(x, 2.0 + 0 * x.detach()), [0.0], [math.log(2)]),
    "xlogy: both 0": (lambda x: tg.xlogy(x[0], x[1]), [0.0, 0.0], [0, 0]),
    "kl_div: target 0": (
        lambda t: F.kl_div(0 * t.detach() - 1, t, reduction="sum"), [0.0, 1.0], [1, 2]),
    "prod: zeros": (lambda x: x.prod(), [0.0, 2.0, 3.0], [6, 0, 0]),
    "cumprod: zeros": (lambda x: x.cumprod(0), [2.0, 0.0, 3.0], [1, 8, 0]),
    "softplus: far": (F.softplus, [1000.0, -1000.0], [1, 0]),
    "logsigmoid: far": (F.logsigmoid, [1000.0, -1000.0, INF], [0, 1, 0]),
    "triplet: equal": (
        lambda x: F.triplet_margin_loss(x, x.detach(), x.detach() + 9, eps=0.0, margin=20.0),
        [[0.0, 0.0]], [[HALF_ROOT] * 2]),
    "logit: ends": (tg.logit, [0.0, 1.0, -1.0, 2.0], [INF, INF, NAN, NAN]),
    "logit: eps": (lambda x: tg.logit(x, 0.25), [0.0, 0.5, 1.0], [0, 4, 0]),
    "inverse sines: ends": (lambda x: tg.asin(x) - tg.acos(x), [1.0, -1.0], [INF, INF]),
    "atanh: ends": (tg.atanh, [1.0, -1.0], [INF, INF]),
    "acosh: end": (tg.acosh, [1.0], [INF]),
    "logdet: singular": (tg.logdet, [[1.0, 2.0], [2.0, 4.0]], [[INF, -INF], [-INF, INF]]),
    "logdet: zeros": (tg.logdet, [[0.0, 0.0], [0.0, 0.0]], [[NAN, NAN], [NAN, NAN]]),
    "slogdet: batch": (
        lambda x: tg.linalg.slogdet(x)[1], [[[1.0, 2.0], [2.0, 4.0]], [[2.0, 0.0], [0.0, 4.0]]],
        [[[INF, -INF], [-INF, INF]], [[0.5, 0], [0, 0.25]]]),
    "quantile: infinite": (lambda x: x.quantile(0.25), [0.0, INF], [0.75, 0.25]),
    "norm: tiny beside 0": (lambda x: x.norm(3), [1e-200, 0.0], [1, 0]),
    "norm: NaN beside 0": (lambda x: x.norm(3) + x.norm(0.5), [NAN, 0.0], [NAN, NAN]),
    "renorm: NaN": (lambda x: tg.renorm(x, 2, 0, 1.0), [[NAN, 1.0], [3.0, 4.0]],
                    [[1, 1], [1 / FIVE - 21 / 5 / FIVE**2, 1 / FIVE - 28 / 5 / FIVE**2]]),
    "multi_margin: NaN": (lambda x: F.multi_margin_loss(x, tg.tensor([0, 0, 1])),
                          [[NAN, 1.0], [INF, INF], [1.0, 1.5]], [[0, 0], [0, 0], [1 / 6, -1 / 6]]),
    "multilabel_margin: NaN": (
        lambda x: F.multilabel_margin_loss(x, tg.tensor([[0, -1], [0, -1], [1, -1]])),
        [[NAN, 1.0], [INF, INF], [1.0, 1.5]], [[0, 0], [0, 0], [1 / 6, -1 / 6]]),
    "scatter_reduce: NaN": (
        lambda x: tg.zeros(2, dtype=x.dtype).scatter_reduce(
            0, tg.tensor([0, 0, 1]), x, "amax", include_self=False),
        [NAN, 1.0, 2.0], [NAN, NAN, 1]),
    "lerp: weight 1": (lambda x: tg.lerp(x, 0 * x.detach(), 1.0), [1e8], [0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    function, values, expected = CASES[name]
    np.testing.assert_allclose(gradient(function, values), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["prod", "cumprod"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_without_zeros_and_near_them(name, dtype):
    tiny, large = np.finfo(dtype).tiny, np.finfo(dtype).max
    rows = [[2, -3, 0.5], [tiny, 0.5, 0.5], [1e-3, tiny, 1e3], [large, 8, 0.125], [-0.0, 2, 3]]
    values = np.array(rows, dtype)
    x = tg.tensor(values, requires_grad=True)
    getattr(x, name)(1).sum().backward()
    a, b, c = values.T.astype(np.longdouble)
    expected = [b * c, a * c, a * b]
    if name == "cumprod":
        expected = [1 + b + b * c, a + a * c, a * b]
    with np.errstate(over="ignore"):
        expected = np.stack(expected, 1).astype(dtype)
    np.testing.assert_allclose(x.grad, expected, rtol=4e-7, atol=0)


P = [0.5, 1.0, 1.5, 2.0, 3.0, INF]
NORMS = {
    "norm": lambda x, p: x.norm(p),
    "vector_norm": lambda x, p: tg.linalg.vector_norm(x, p, 0),
    "cdist": lambda x, p: tg.cdist(x.reshape(1, -1), 0 * x.detach().reshape(1, -1), p),
    "pairwise_distance": lambda x, p: F.pairwise_distance(x, 0 * x.detach(), p, 0.0),
}


@pytest.mark.parametrize("p", P)
@pytest.mark.parametrize("name", NORMS)
def test_norms_at_zero(name, p):
    def function(x):
        return NORMS[name](x, p)

    np.testing.assert_array_equal(gradient(function, [0.0, 0.0]), [0, 0])
    np.testing.assert_allclose(gradient(function, [0.0, -2.0]), [0, -1])


@pytest.mark.parametrize("p", [0, 0.5, 1.0, 1.5, 2.0, 3.0, INF])
def test_distance_of_a_point_to_itself(p):
    g = gradient(lambda x: tg.cdist(x, x.detach(), p=p) + 0 * x.sum(), [[1.0], [3.0]])
    np.testing.assert_allclose(g, [[0], [0]] if p == 0 else [[-1], [1]])


# NaN ----------------------------------------------------------------------------------------------


def bounds(m, *values):
    return m.tensor(values, dtype=m.float64)


NOT_A_NUMBER = {
    "max": (lambda m, x: x.max(), [[NAN], [0, 0.5, 0, 0.5]]),
    "min": (lambda m, x: x.min(), [[NAN], [0, 0.5, 0, 0.5]]),
    "amax": (lambda m, x: x.amax(), [[NAN], [NAN] * 4]),
    "amin": (lambda m, x: m.amin(x, 0), [[NAN], [NAN] * 4]),
    "max: along": (lambda m, x: x.max(0).values, [[NAN], [0, 1, 0, 0]]),
    "min: along": (lambda m, x: x.min(0).values, [[NAN], [0, 1, 0, 0]]),
    "argmax": (lambda m, x: x.argmax() + 0 * x, [[1, NAN, 1, NAN], [0] * 4]),
    "median": (lambda m, x: x.median(), [[NAN], [0, 0.5, 0, 0.5]]),
    "maximum": (lambda m, x: m.maximum(x, bounds(m, NAN, 3, 3, NAN)),
                [[NAN, NAN, 3, NAN], [1, 1, 0.5, 1]]),
    "minimum": (lambda m, x: m.minimum(x, bounds(m, NAN, 0, 4, NAN)),
                [[NAN, NAN, 3, NAN], [1, 1, 1, 1]]),
    "cummax": (lambda m, x: x.cummax(0).values, [[1, NAN, NAN, NAN], [1, 2, 0, 1]]),
    "clamp": (lambda m, x: x.clamp(bounds(m, NAN, 0, 0, 0), bounds(m, 5, 5, NAN, 5)),
              [[NAN, NAN, NAN, NAN], [0, 0, 0, 0]]),
    "clamp: below": (lambda m, x: x.clamp(min=bounds(m, NAN, 0, 0, 0)),
                     [[NAN, NAN, 3, NAN], [0, 0, 1, 0]]),
    "nan_to_num": (lambda m, x: x.nan_to_num(7), [[1, 7, 3, 7], [1, 0, 1, 0]]),
    "nansum": (lambda m, x: x.nansum(), [[4], [1, 0, 1, 0]]),
    "sort": (lambda m, x: x.sort().values[:2], [[1, 3], [1, 0, 1, 0]]),
    "topk": (lambda m, x: x.topk(1).values, [[NAN], [0, 1, 0, 0]]),
    "sign": (lambda m, x: x.sign(), [[1, 0, 1, 0], [0] * 4]),
    "abs": (lambda m, x: x.abs(), [[1, NAN, 3, NAN], [1, 0, 1, 0]]),
    "relu": (lambda m, x: x.relu(), [[1, NAN, 3, NAN], [1, 1, 1, 1]]),
    "relu: float32": (lambda m, x: x.float().relu(), [[1, NAN, 3, NAN], [1, 1, 1, 1]]),
    "leaky_relu": (lambda m, x: m.nn.functional.leaky_relu(x, 0.5), [[1, NAN, 3, NAN],
                                                                     [1, 0.5, 1, 0.5]]),
    "clamp: numbers": (lambda m, x: x.clamp(0, 2), [[1, NAN, 2, NAN], [1, 0, 0, 0]]),
    "l1_loss": (lambda m, x: m.nn.functional.l1_loss(x, 2 * m.ones_like(x), reduction="none"),
                [[1, NAN, 1, NAN], [-1, 0, 1, 0]]),
    "norm: inf": (lambda m, x: x.norm(INF), [[NAN], [0] * 4]),
}  # fmt: skip


def check_nans(m, function, expected):
    x = m.tensor([1.0, NAN, 3.0, NAN], dtype=m.float64, requires_grad=True)
    y = function(m, x)
    y.sum().backward()
    np.testing.assert_array_equal(y.detach().reshape((-1,)).tolist(), expected[0])
    np.testing.assert_array_equal(x.grad.tolist(), expected[1])


@pytest.mark.parametrize("name", NOT_A_NUMBER)
def test_nans(name):
    check_nans(tg, *NOT_A_NUMBER[name])


@pytest.mark.peers
@pytest.mark.parametrize("name", NOT_A_NUMBER)
def test_nans_in_pytorch(torch, name):
    check_nans(torch, *NOT_A_NUMBER[name])


# An infinite gradient stops where the value does not depend on the input --------------------------


R8, R12 = 8**-0.5, 12**-0.5  # the slopes of sqrt at 2 and 3
MASKS = {  # the gradients of [0, -1, 2, 3], as PyTorch has them
    "relu": (lambda m, x: m.relu(x).sqrt(), [0, 0, R8, R12]),
    "relu: float32": (lambda m, x: m.relu(x.float()).sqrt(), [0, 0, R8, R12]),
    "relu: many": (lambda m, x: m.relu(x.repeat(300)).sqrt(), [0, 0, 300 * R8, 300 * R12]),
    "relu: strided": (lambda m, x: m.relu(x.repeat(6)[::2]).sqrt(), [0, 0, 6 * R8, 0]),
    "clamp": (lambda m, x: x.clamp(0, 2.5).sqrt(), [INF, 0, R8, 0]),
    "clamp: below": (lambda m, x: x.clamp(min=0.0).sqrt(), [INF, 0, R8, R12]),
    "relu6": (lambda m, x: m.nn.functional.relu6(x).sqrt(), [0, 0, R8, R12]),
    "hardtanh": (lambda m, x: (m.nn.functional.hardtanh(x) + 1).sqrt(), [0.5, 0, 0, 0]),
    "threshold": (lambda m, x: m.nn.functional.threshold(x, 2.0, 0.0).sqrt(), [0, 0, 0, R12]),
    "where": (lambda m, x: m.where(x > 0, x, 0.0).sqrt(), [0, 0, R8, R12]),
    "max": (lambda m, x: (x - 3).max().sqrt(), [0, 0, 0, INF]),
    "min": (lambda m, x: (x + 1).min().sqrt(), [0, INF, 0, 0]),
    "median": (lambda m, x: x.median().sqrt(), [INF, 0, 0, 0]),
    "lp_pool1d": (lambda m, x: m.nn.functional.lp_pool1d(x.clamp(min=0)[None, None], 2.0, 2),
                  [0, 0, 2 / 13**0.5, 3 / 13**0.5]),
    "a power of 0": (lambda m, x: 0.0**x, [0, -INF, 0, 0]),
    "hinge_embedding_loss: bound": (
        lambda m, x: m.nn.functional.hinge_embedding_loss(
            x, -m.ones_like(x), margin=2.0, reduction="sum"), [-1, -1, -1, 0]),
    "margin_ranking_loss: tie": (
        lambda m, x: m.nn.functional.margin_ranking_loss(
            x, x.detach() + 0, m.ones_like(x), reduction="sum"), [-1, -1, -1, -1]),
    "triplet_margin_loss: bound": (
        lambda m, x: m.nn.functional.triplet_margin_loss(
            x[:, None], x.detach()[:, None] + 1, x.detach()[:, None] - 2, margin=1.0, eps=0.0,
            reduction="sum"), [-2, -2, -2, -2]),
}  # fmt: skip


def check_masks(m, function, expected):
    x = m.tensor([0.0, -1.0, 2.0, 3.0], dtype=m.float64, requires_grad=True)
    function(m, x).sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", MASKS)
def test_masks(name):
    check_masks(tg, *MASKS[name])


@pytest.mark.peers
@pytest.mark.parametrize("name", MASKS)
def test_masks_in_pytorch(torch, name):
    check_masks(torch, *MASKS[name])


# Singular and eigen values that are equal ---------------------------------------------------------

EYE = np.eye(3)
TALL = np.eye(4, 3)
EQUAL = {
    "svdvals": (tg.linalg.svdvals, EYE, EYE),
    "svdvals: tall": (tg.linalg.svdvals, TALL, TALL),
    "svdvals: wide": (tg.linalg.svdvals, TALL.T, TALL.T),
    "svd: S": (lambda x: tg.linalg.svd(x, full_matrices=False)[1], TALL, TALL),
    "older svd: S": (lambda x: tg.svd(x).S, EYE, EYE),
    "eigvalsh": (tg.linalg.eigvalsh, EYE, EYE),
    "eigvalsh: weighted": (lambda x: tg.linalg.eigvalsh(x) ** 2, 2 * EYE, 4 * EYE),
    "eigh: values": (lambda x: tg.linalg.eigh(x)[0], EYE, EYE),
    "matrix_norm: nuc": (lambda x: tg.linalg.matrix_norm(x, "nuc"), EYE, EYE),
    "matrix_norm: nuc, rank 1": (
        lambda x: tg.linalg.matrix_norm(x, "nuc"), np.diag([2.0, 0]), None),
}  # fmt: skip


@pytest.mark.parametrize("name", EQUAL)
def test_gradients_of_equal_values(name):
    function, values, expected = EQUAL[name]
    g = gradient(function, values)
    assert np.isfinite(g).all()
    if expected is not None:
        np.testing.assert_allclose(g, expected, atol=1e-12)


@pytest.mark.parametrize("ord", [2, -2])
def test_one_of_equal_values(ord):
    """One of the equal values is chosen: its u v^T has the norm 1 and the trace 1."""
    g = gradient(lambda x: tg.linalg.matrix_norm(x, ord), EYE)
    np.testing.assert_allclose([np.linalg.norm(g), np.trace(g)], [1, 1])


def test_cond_of_the_unit_matrix():
    g = gradient(tg.linalg.cond, EYE)
    np.testing.assert_allclose(np.trace(g), 0, atol=1e-12)
    assert np.isfinite(g).all()


def test_sign_of_a_determinant_beyond_the_range():
    sign, size = tg.linalg.slogdet(tg.eye(300, dtype=tg.float32) * -1e-3)
    assert sign.item() == 1
    np.testing.assert_allclose(size.item(), 300 * math.log(1e-3), rtol=1e-6)
