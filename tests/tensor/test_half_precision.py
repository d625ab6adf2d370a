"""float16: computed in float32 and rounded once, forwards and backwards."""

import math

import numpy as np
import pytest
from op_rows.complexes import COMPLEX
from ops_table import OPS

import tinygrad_opt as tg
from tinygrad_opt import nn, ops
from tinygrad_opt.autograd import op
from tinygrad_opt.core.half import EXACT

F = nn.functional
ROUNDING = 2.0**-11
NORMAL = 2.0**-14  # the least normal float16

# As in PyTorch: it refuses float16 here, ...
REFUSED = {"inv", "inverse", "solve", "det", "slogdet", "log_abs_det", "logdet", "cholesky",
           "cholesky_solve", "cholesky_inverse", "qr", "eigh", "svd", "pinv", "pinverse",
           "matrix_power", "matrix_exp", "lu", "lu_solve", "lu_unpack", "norm: cond",
           "norm: cond -2", "norm: matrix_norm nuc",
           "norm: matrix_norm 2", "norm: matrix_norm -2", "norm: matrix_norm kept"}  # fmt: skip

# ... and rounds between the steps here.
STEPS = {"diff: twice, axis", "exp_of_gap", "outer", "ger", "kron", "kron: unequal",
         "quantile: several, axis", "nanquantile"}  # fmt: skip


def run(row, dtype):
    xs = [tg.tensor(np.asarray(x, "float16").astype(dtype), requires_grad=True)
          for x in row.inputs()]  # fmt: skip
    y = row.call(tg, *xs)
    weight = np.linspace(0.5, 1.5, y.array.size).reshape(y.shape).astype("float16")
    y.backward(tg.tensor(weight.astype(dtype)))
    return y.array, [x.grad.array for x in xs]


def roundings(got, right):
    """The largest error in units of float16's rounding."""
    unit = np.maximum(np.abs(right), NORMAL) * ROUNDING
    return (np.abs(got.astype("float64") - right) / unit).max(initial=0)


@pytest.mark.parametrize(
    "row", [row for row in OPS if row not in COMPLEX], ids=lambda row: row.name
)
def test_one_rounding(row):
    if row.covers in REFUSED or row.name in REFUSED:
        with pytest.raises(RuntimeError, match="Low precision dtypes not supported"):
            run(row, "float16")
        return
    y, gradients = run(row, "float16")
    right, right_gradients = run(row, "float64")
    assert y.dtype == "float16"
    assert all(g.dtype == "float16" for g in gradients)
    if row.name not in STEPS:
        assert roundings(y, right) <= 1.05
        assert all(roundings(g, r) <= 2.5 for g, r in zip(gradients, right_gradients, strict=True))


def test_there_are_no_complex_numbers_of_float16():
    with pytest.raises(RuntimeError, match="no complex numbers of float16 here; convert with"):
        tg.complex(H([1.0]), H([1.0]))
    with pytest.raises(RuntimeError, match="no complex numbers of float16 here; convert with"):
        tg.view_as_complex(H([1.0, 2.0]))
    with pytest.raises(RuntimeError, match="no complex numbers of float16 here; convert with"):
        tg.fft.rfft(H([1.0, 2.0]))


def H(values):
    return tg.tensor(np.asarray(values, "float16"))


def many(value, n=3000):
    return H([value] * n)


VALUES = {
    "mean": (lambda: many(60.0).mean(), 60),
    "mean: column": (lambda: many(60.0).reshape(-1, 1).mean(0), [60]),
    "mean: loss": (lambda: F.mse_loss(many(200.0), many(0.0)), 40000),
    "sum": (lambda: many(1.0).sum(), 3000),
    "norm": (lambda: many(200.0).norm(), 200 * math.sqrt(3000)),
    "norm: p=3": (lambda: many(200.0).norm(3), 200 * 3000 ** (1 / 3)),
    "std": (lambda: H([200.0, -200.0] * 1500).std(unbiased=False), 200),
    "cumsum": (lambda: many(1.0).cumsum(0)[-1], 3000),
    "cumprod": (lambda: many(1.001).cumprod(0)[-1], float(np.float16(1.001)) ** 3000),
    "prod": (lambda: H([1e4, 1e4, 1e-4, 1e-4]).prod(),
             math.prod(map(float, np.array([1e4, 1e4, 1e-4, 1e-4], "float16")))),
    "logsumexp": (lambda: many(1.0).logsumexp(0), 1 + math.log(3000)),
    "softmax": (lambda: many(1.0, 8).softmax(0)[0], 1 / 8),
    "dot": (lambda: many(1.0) @ many(1.0), 3000),
    "linear": (lambda: F.linear(many(1.0)[None], many(1.0)[None])[0, 0], 3000),
    "einsum": (lambda: tg.einsum("i,i->", many(1.0), many(1.0)), 3000),
    "bmm": (lambda: tg.bmm(many(1.0).reshape(1, 1, -1), many(1.0).reshape(1, -1, 1))[0], [[3000]]),
    "conv": (lambda: F.conv1d(many(1.0).reshape(1, 1, -1), many(1.0).reshape(1, 1, -1))[0, 0],
             [3000]),
    "average pool": (lambda: F.avg_pool1d(many(200.0).reshape(1, 1, -1), 3000)[0, 0], [200]),
    "adaptive pool": (lambda: F.adaptive_avg_pool1d(many(200.0).reshape(1, 1, -1), 1)[0, 0], [200]),
    "layer norm": (lambda: F.layer_norm(H([200.0, -200.0] * 500), (1000,))[0], 1),
    "group norm": (lambda: F.group_norm(H([[[300.0, -300.0]]]), 1)[0, 0], [1, -1]),
    "rms norm": (lambda: F.rms_norm(many(300.0), (3000,))[0], 1),
    "cosine": (lambda: F.cosine_similarity(many(200.0), many(200.0), dim=0), 1),
    "cdist": (lambda: tg.cdist(many(200.0)[None], many(0.0)[None])[0], [200 * math.sqrt(3000)]),
    "normalize": (lambda: F.normalize(many(200.0), dim=0)[0], 1 / math.sqrt(3000)),
    "huber": (lambda: F.huber_loss(many(300.0), many(0.0), delta=200.0), 40000),
    "cross entropy": (lambda: F.cross_entropy(tg.zeros(3000, 4, dtype=tg.float16),
                                              tg.zeros(3000, dtype=tg.int64)), math.log(4)),
    "times a number": (lambda: H([1e-3]) * 100000.0, [1e5 * float(np.float16(1e-3))]),
    "plus a small number": (lambda: (H([0.0]) + 1e-9).sqrt() * 0, [0]),
    "index_add": (lambda: tg.zeros(1, dtype=tg.float16).index_add(
        0, tg.zeros(3000, dtype=tg.int64), many(1.0)), [3000]),
    "trapezoid": (lambda: tg.trapezoid(many(1.0)), 2999),
    "gelu": (lambda: F.gelu(H([1.0])), [0.8413447]),
    "erfinv": (lambda: tg.erfinv(H([0.5])), [0.4769363]),
    "lgamma": (lambda: tg.lgamma(H([10.0])), [12.8018275]),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    call, right = VALUES[name]
    y = call()
    assert y.dtype == tg.float16
    np.testing.assert_allclose(y.numpy().astype(float), right, rtol=ROUNDING * 1.01)


def test_gradient_that_is_a_sum():
    b = H([0.0]).requires_grad_()
    (many(1.0) * b).sum().backward()
    assert b.grad.dtype == tg.float16
    assert b.grad.tolist() == [3000]


def test_overflow_where_the_result_overflows():
    assert many(60.0).sum().item() == math.inf
    assert (H([200.0]) * 400.0).item() == math.inf


@pytest.mark.parametrize("layer", [nn.LayerNorm(4), nn.RMSNorm(4), nn.GroupNorm(1, 3)])
def test_norms_beside_float32_weights(layer):
    y = layer(tg.ones(2, 3, 4, dtype=tg.float16))
    assert y.dtype == tg.float16


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_batch_norm(kind):
    layer = nn.BatchNorm1d(1).to(getattr(tg, kind))
    x = H([[300.0], [-300.0]])
    assert layer(x).tolist() == [[1], [-1]]
    assert layer.running_mean.dtype == kind
    assert layer.running_mean.item() == 0
    assert layer.running_var.item() > 1e4  # 0.9 + 0.1 * 180000
    layer.eval()
    assert layer(x).dtype == tg.float16


def test_another_type_decides():
    x = H([1.0, 2.0])
    assert F.mse_loss(x, tg.zeros(2)).dtype == tg.float32
    assert F.huber_loss(x, tg.zeros(2)).dtype == tg.float16  # but for this one, as in PyTorch
    assert tg.atan2(x, tg.ones(2)).dtype == tg.float32


def test_named_tuples_and_keywords():
    spread, average = tg.var_mean(many(60.0))
    assert spread.dtype == average.dtype == tg.float16
    assert F.l1_loss(input=many(60.0), target=many(0.0)).item() == 60


@pytest.mark.parametrize("kind", ["float16", "float32"])
@pytest.mark.parametrize("call", [
    lambda x: F.l1_loss(x, x[:1]),
    lambda x: F.smooth_l1_loss(x, x[:1]),
    lambda x: F.kl_div(x, x),
    lambda x: F.mse_loss(x, x, size_average=True),
    lambda x: F.gumbel_softmax(x, eps=0.1, dim=0),
])  # fmt: skip
def test_warnings_point_to_the_caller(call, kind):
    with pytest.warns(UserWarning, match="size|reduc|eps") as caught:
        call(tg.ones(2, dtype=getattr(tg, kind)))
    assert caught[0].filename == __file__


def test_second_derivative():
    x = H([0.5]).requires_grad_()
    (slope,) = tg.autograd.grad(tg.exp(x).sum(), x, create_graph=True)
    (curvature,) = tg.autograd.grad(slope.sum(), x)
    assert curvature.item() == np.float16(math.exp(0.5))


def test_operations_of_users_are_computed_in_float32():
    seen = []

    @op
    def cube(x):
        seen.append(x.dtype)
        return x * x * x, lambda g: g * 3 * x * x

    x = H([7.0]).requires_grad_()
    y = cube(x)
    y.backward()
    assert y.dtype == x.grad.dtype == tg.float16
    assert seen[-1] == "float32"


def test_exact_operations_exist():
    for name in EXACT:
        assert hasattr(ops, name), name
