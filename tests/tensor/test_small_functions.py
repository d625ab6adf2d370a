"""Small functions: extreme values, refusals, and names that PyTorch has at the top."""

import math

import numpy as np
import pytest
from refusals import both_refuse

import tinygrad_opt as tg
from tinygrad_opt import special

T = tg.tensor
INF, NAN = math.inf, math.nan


def double(*values):
    return T(list(values), dtype=tg.float64)


EXTREMES = [
    (special.i0, [0, INF, -INF, NAN, 30], [1, INF, INF, NAN, 781672297823.9775]),
    (special.i0e, [0, INF, -30, NAN], [1, 0, 0.07314594648, NAN]),
    (special.i1, [0, INF, -INF, NAN, -30], [0, INF, -INF, NAN, -768532038938.957]),
    (special.i1e, [0, INF, 700, NAN], [0, 0, 0.01507052944, NAN]),
    (special.erfcx, [0, 30, 1e9, -INF, INF, NAN], [1, 0.018795888861, 5.6418958e-10, INF, 0, NAN]),
    (special.log_ndtr, [-40, 0, INF, -INF, NAN], [-804.608442, -math.log(2), 0, -INF, NAN]),
    (special.ndtri, [0, 1, 0.5, 1e-300, 2, NAN], [-INF, INF, 0, -37.0471, NAN, NAN]),
    (special.ndtr, [-INF, 0, INF, NAN], [0, 0.5, 1, NAN]),
    (special.entr, [0, -1, 1, NAN], [0, -INF, 0, NAN]),
    (special.spherical_bessel_j0, [0, math.pi], [1, 0]),
    (special.expit, [0], [0.5]),
    (special.gammaln, [5], [math.log(24)]),
    (special.psi, [1], [-0.5772156649]),
    (special.sinc, [0.5], [2 / math.pi]),
    (special.exp2, [3], [8]),
    (special.round, [2.5], [2]),
    (special.erf, [0], [0]), (special.erfc, [0], [1]), (special.erfinv, [0], [0]),
    (special.expm1, [0], [0]), (special.log1p, [0], [0]), (special.logit, [0.5], [0]),
    (special.digamma, [1], [-0.5772156649]),
]  # fmt: skip


@pytest.mark.parametrize("row", EXTREMES, ids=lambda row: row[0].__name__)
def test_extreme_values(row):
    function, x, expected = row
    np.testing.assert_allclose(function(double(*x)), expected, rtol=1e-6, atol=1e-15)
    assert function(T(x)).dtype == np.float32


def test_functions_of_two():
    zero, one = double(0.0), double(1.0)
    assert special.xlog1py(0, double(-1.0)).item() == 0
    assert special.xlog1py(zero, double(NAN)).isnan().item()
    assert special.xlogy(zero, zero).item() == 0
    np.testing.assert_allclose(special.zeta(2, one), math.pi**2 / 6)
    assert special.zeta(one, one).item() == INF
    assert special.zeta(double(0.5), one).isnan().item()
    assert special.zeta(double(2.5), double(-0.5)).isnan().item()
    assert special.zeta(double(2.0), double(-1.0)).item() == INF
    assert special.multigammaln(double(3.0), 1).item() == pytest.approx(math.log(2))
    assert special.polygamma(1, one).item() == pytest.approx(math.pi**2 / 6)
    x = double(0.5, 1.5)
    np.testing.assert_allclose(special.softmax(x, 0).log(), special.log_softmax(x, 0))
    assert special.logsumexp(x, 0).item() == pytest.approx(math.log(math.e**0.5 + math.e**1.5))


@pytest.mark.parametrize("a", [1e-3, 0.5, 20.0, 99.0, 101.0, 1e5])
def test_incomplete_gamma(a):
    x = np.random.default_rng(0).gamma(a, size=40)
    at = tg.full((40,), a, dtype=tg.float64, requires_grad=True)
    low, high = tg.igamma(at, T(x)), tg.igammac(at, T(x))
    np.testing.assert_allclose((low + high).detach(), 1, rtol=1e-11)
    np.testing.assert_allclose(special.gammainc(at, T(x)).detach(), low.detach())
    h = 1e-5 * a  # the slope in a
    slope = (tg.igamma(at + h, T(x)) - tg.igamma(at - h, T(x))) / (2 * h)
    (g,) = tg.autograd.grad(low.sum(), at, retain_graph=True)
    scale = np.abs(slope.detach()).max().item()
    np.testing.assert_allclose(g, slope.detach(), atol=1e-5 * scale)
    (g,) = tg.autograd.grad(high.sum(), at)
    np.testing.assert_allclose(g, -slope.detach(), atol=1e-5 * scale)


def test_incomplete_gamma_at_the_ends():
    a = double(1.0, 1.0, 0.0, -1.0, INF, INF, 0.0, 2.0)
    x = double(0.0, INF, 2.0, 1.0, 1.0, INF, 0.0, NAN)
    np.testing.assert_array_equal(tg.igamma(a, x), [0, 1, 1, NAN, 0, NAN, NAN, NAN])
    np.testing.assert_array_equal(tg.igammac(a, x), [1, 0, 0, NAN, 1, NAN, NAN, NAN])
    a = double(1.0, -1.0).requires_grad_()
    tg.igamma(a, double(0.0, 1.0)).sum().backward()
    np.testing.assert_array_equal(a.grad, [0, NAN])
    y = tg.igamma(a, double(1.0, 1.0))
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        tg.autograd.grad(y.sum(), a, create_graph=True)


def test_parts_of_floats():
    x = T([0.0, 1.0, -3.0, 1e-40, INF])
    mantissa, exponent = tg.frexp(x)
    assert exponent.dtype == np.int32
    np.testing.assert_array_equal(mantissa, np.frexp(x.numpy())[0])
    np.testing.assert_array_equal(tg.ldexp(mantissa, exponent)[:3], x[:3])
    assert "mantissa=" in repr(x.frexp())
    assert tg.nextafter(T(1.0), T(2.0)).item() == 1 + 2**-23
    assert T([0.0, 1.0]).nextafter(T([1.0, 1.0])).tolist()[1] == 1
    assert T([1.0, 2.0]).ldexp_(T([1, 2])).tolist() == [2, 8]


def test_positions():
    places = tg.unravel_index(T([0, 5, 11]), (3, 4))
    assert [p.tolist() for p in places] == [[0, 1, 2], [0, 1, 3]]
    assert tg.unravel_index(T(7), 9)[0].item() == 7
    x = tg.arange(12.0).reshape(3, 4)
    assert x.as_strided((2, 2), (1, 4), 1).tolist() == [[1, 5], [2, 6]]
    assert x.T.as_strided((3,), (5,)).tolist() == [0, 5, 10]  # the memory is that of x
    assert x[1:].as_strided((2,), (1,)).tolist() == [4, 5]
    assert x[1:].as_strided((2,), (1,), 5).tolist() == [5, 6]
    assert x.as_strided((0,), (1,)).shape == (0,)
    assert T([1.0]).index_reduce_(0, T([0]), T([3.0]), "prod").tolist() == [3]
    assert tg.zeros(2, 2).put_(T([3, -4]), T([1.0, 2.0])).tolist() == [[2, 0], [0, 1]]


def test_fill_diagonal():
    assert tg.zeros(2, 3).fill_diagonal_(5).tolist() == [[5, 0, 0], [0, 5, 0]]
    tall = tg.zeros(7, 2).fill_diagonal_(1, wrap=True)
    expected = np.zeros((7, 2))
    np.fill_diagonal(expected, 1, wrap=True)
    np.testing.assert_array_equal(tall, expected)
    np.testing.assert_array_equal(tg.zeros(7, 2).fill_diagonal_(1)[2:], 0)
    assert tg.zeros(2, 2, 2).fill_diagonal_(1).sum().item() == 2
    x = tg.ones(2, 2, requires_grad=True)
    (x * 2).fill_diagonal_(0).sum().backward()
    assert x.grad.tolist() == [[0, 2], [2, 0]]


def test_renorm_in_place():
    x = T([[3.0, 4.0], [0.3, 0.4]])
    np.testing.assert_allclose(x.renorm_(2, 0, 1.0), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    ["bilinear", "cosine_similarity", "hardshrink", "pairwise_distance", "prelu", "rms_norm"],
)
def test_functional_names_at_the_top(name):
    assert getattr(tg, name) is getattr(tg.nn.functional, name)


test_refusals, test_pytorch_refuses = both_refuse(
    {
        "pdist": (RuntimeError, "pdist only supports 2D tensors, got: 1D",
                  lambda m: m.nn.functional.pdist(m.ones(3))),
        "pdist p": (RuntimeError, "pdist only supports non-negative p values",
                    lambda m: m.nn.functional.pdist(m.ones(3, 2), -1.0)),
        "renorm": (RuntimeError, "renorm: input needs at least 2 dimensions, got 1",
                   lambda m: m.renorm(m.ones(3), 2, 0, 1)),
        "renorm norm": (RuntimeError, "expected maxnorm to be >= 0|maxnorm to be >= 0",
                        lambda m: m.renorm(m.ones(3, 2), 2, 0, -1)),
        "gradient edge": (RuntimeError, "gradient only supports edge_order=1 and edge_order=2",
                          lambda m: m.gradient(m.ones(3), edge_order=3)),
        "gradient short": (RuntimeError, r"gradient expected each dimension size to be at least "
                           r"edge_order\+1", lambda m: m.gradient(m.ones(1))),
        "gradient spacing": (RuntimeError, "gradient expected spacing to be unspecified, a scalar",
                             lambda m: m.gradient(m.ones(3), spacing=[1.0, 2.0])),
        "put size": (IndexError, "Expected source and index to have the same number of elements",
                     lambda m: m.zeros(3).put(m.tensor([1]), m.ones(2))),
        "put dtype": (RuntimeError, "self and source expected to have the same dtype",
                      lambda m: m.zeros(3).put(m.tensor([1]), m.tensor([1]))),
        "put range": (IndexError, "out of range",
                      lambda m: m.zeros(3).put(m.tensor([3]), m.ones(1))),
        "index_reduce": (RuntimeError, "Expected reduce to be one of prod, mean, amax or amin",
                         lambda m: m.zeros(3).index_reduce(0, m.tensor([1]), m.ones(1), "sum")),
        "unravel": (TypeError, "expected 'indices' to be integer dtype",
                    lambda m: m.unravel_index(m.ones(1), (2,))),
        "unravel shape": (ValueError, "'shape' cannot have negative values, but got",
                          lambda m: m.unravel_index(m.tensor([1]), (-2,))),
        "strides": (RuntimeError, "mismatch in length of strides and shape",
                    lambda m: m.ones(3).as_strided((1,), (1, 1))),
        "negative strides": (RuntimeError, "Negative strides are not supported",
                             lambda m: m.ones(3).as_strided((1,), (-1,))),
        "frexp": (RuntimeError, r"torch.frexp\(\) only supports floating-point dtypes",
                  lambda m: m.frexp(m.tensor([1]))),
        "fill_diagonal_": (RuntimeError, "dimensions must larger than 1",
                           lambda m: m.ones(3).fill_diagonal_(1)),
        "fill_diagonal_ cube": (RuntimeError, "all dimensions of input must be of equal length",
                                lambda m: m.ones(3, 2, 2).fill_diagonal_(1)),
    }
)  # fmt: skip


def test_refusals_of_our_own():
    with pytest.raises(RuntimeError, match="reach outside of the 3 elements"):
        tg.ones(3).as_strided((2,), (3,))
    with pytest.raises(RuntimeError, match="gaps between them in memory; call contiguous"):
        tg.ones(3, 4)[:, ::2].as_strided((2,), (1,))
    with pytest.raises(RuntimeError, match="as many points as the axis: 3 along dimension 0"):
        tg.gradient(tg.ones(3), spacing=[tg.ones(2)])
