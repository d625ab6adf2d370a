"""The public functions: comparisons, positions, shapes and what the table of operations leaves."""

import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import Tensor, functions, ops
from tinygrad_opt.tensors.methods import NOT_METHODS

RNG = np.random.default_rng(0)
A = RNG.standard_normal((2, 3))
B = A + 0.5 * (RNG.uniform(size=(2, 3)) > 0.5)

OWN = {"where", "polygamma", "split", "real", "imag"}  # with arguments of their own; properties


def test_every_function_is_public_and_a_method():
    for name in functions.__all__:
        function = getattr(functions, name)
        assert getattr(tg, name) is function
        assert hasattr(Tensor, name) == (name not in NOT_METHODS or name in OWN), name
        assert function.__doc__ or hasattr(function, "pair"), name


@pytest.mark.peers
def test_methods_as_pytorch(torch):
    ours = {name for name in functions.__all__ if name not in NOT_METHODS} | OWN
    assert [name for name in sorted(ours) if not hasattr(torch.Tensor, name)] == []
    refused = NOT_METHODS - OWN
    assert [name for name in sorted(refused) if hasattr(torch.Tensor, name)] == []


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal),
     ("gt", np.greater), ("ge", np.greater_equal)],
)  # fmt: skip
def test_comparisons(name, symbol):
    y = getattr(tg, name)(tg.tensor(A), tg.tensor(B))
    assert y.dtype == tg.bool
    np.testing.assert_array_equal(y.array, symbol(A, B))
    assert getattr(tg, name)(tg.tensor(A), 0.0).tolist() == symbol(A, 0).tolist()
    assert getattr(tg, name)(tg.tensor(A), tg.tensor(B[0])).shape == (2, 3)
    assert getattr(tg, name).__name__ == name


def test_logic():
    p, q = tg.tensor([True, True, False]), tg.tensor([1, 0, 0])
    assert tg.logical_and(p, q).tolist() == [True, False, False]
    assert tg.logical_or(p, q).tolist() == [True, True, False]
    assert tg.logical_not(q).tolist() == [False, True, True]
    assert (tg.all(p).item(), tg.any(q).item()) == (False, True)
    assert tg.all(tg.ones(2, 3) > 0, 1).tolist() == [True, True]
    assert tg.any(tg.zeros(2, 3), 0, keepdim=True).tolist() == [[False] * 3]


def test_equal_and_close():
    x = tg.tensor([1.0, math.nan])
    assert tg.equal(tg.ones(2), tg.ones(2))
    assert not tg.equal(tg.ones(2), tg.ones(1, 2))
    assert tg.isclose(x, x).tolist() == [True, False]
    assert tg.allclose(x, x, equal_nan=True)
    assert tg.allclose(tg.tensor(1.0), tg.tensor(1.0 + 1e-6))
    assert not tg.allclose(tg.tensor(1.0), tg.tensor(1.001))
    assert tg.allclose(tg.tensor(1.0), tg.tensor(1.001), rtol=0, atol=0.01)


def test_rounding():
    x = tg.tensor([-1.5, -0.4, 0.5, 2.5])
    assert tg.floor(x).tolist() == [-2, -1, 0, 2]
    assert tg.ceil(x).tolist() == [-1, 0, 1, 3]
    assert tg.round(x).tolist() == [-2, 0, 0, 2]
    assert tg.sign(x).tolist() == [-1, -1, 1, 1]


def test_finite_or_not():
    x = tg.tensor([1.0, math.inf, math.nan])
    assert tg.isfinite(x).tolist() == [True, False, False]
    assert tg.isinf(x).tolist() == [False, True, False]
    assert tg.isnan(x).tolist() == [False, False, True]


def test_positions_of_extremes():
    x = tg.tensor(A)
    assert tg.argmax(x).item() == A.argmax()
    assert tg.argmin(x, 1).tolist() == A.argmin(1).tolist()
    assert tg.argmax(x, -1, keepdim=True).shape == (2, 1)
    assert tg.argmax(x, 0).dtype == tg.int64


@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_along_an_axis(name):
    x = tg.tensor(A, requires_grad=True)
    result = getattr(tg, name)(x, 1)
    assert result.values.tolist() == getattr(A, name)(1).tolist()
    assert result.indices.tolist() == getattr(A, "arg" + name)(1).tolist()
    values, indices = getattr(x, name)(dim=-2, keepdim=True)
    assert values.shape == indices.shape == (1, 3)
    values.sum().backward()
    assert x.grad.sum().item() == 3
    assert getattr(tg.tensor([3, 1, 2]), name)().item() == {"max": 3, "min": 1}[name]


def test_norms():
    x = tg.tensor([[3.0, 0.0], [-4.0, 0.0]])
    assert tg.norm(x).item() == tg.norm(x, "fro").item() == 5
    assert tg.norm(x, 1).item() == 7
    assert tg.norm(x, math.inf, dim=0).tolist() == [4, 0]
    assert tg.norm(x, -math.inf).item() == 0
    assert tg.norm(x, 0).item() == 2
    assert tg.norm(x, 0, 1, keepdim=True).tolist() == [[1], [1]]


def test_spread_of_too_few_elements_is_nan():
    assert math.isnan(tg.var(tg.ones(1)).item())
    assert tg.var(tg.ones(1), unbiased=False).item() == 0
    assert math.isnan(tg.std(tg.ones(3), correction=3).item())


def test_reductions_with_another_type():
    x = tg.tensor([1, 2])
    assert tg.mean(x, dtype=tg.float64).item() == 1.5
    assert tg.sum(x, dtype=tg.float32).dtype == tg.float32
    assert tg.softmax(x, 0, dtype=tg.float64).sum().item() == pytest.approx(1, rel=1e-15)
    assert tg.log_softmax(x, 0, dtype=tg.float64).dtype == tg.float64


def test_reductions_of_nothing():
    empty = tg.zeros(0, 3)
    assert tg.sum(empty).item() == 0
    assert tg.sum(empty, 0).tolist() == [0, 0, 0]
    assert math.isnan(tg.mean(empty).item())
    assert tg.cumsum(empty, 0).shape == (0, 3)


def test_reductions_of_a_0d_tensor():
    x = tg.tensor(2.0)
    for y in (x.sum(0), x.mean(-1), x.max(), x.amax(0), x.softmax(0)):
        assert y.shape == ()
    assert x.transpose(0, -1).item() == x.T.item() == x.t().item() == 2


def test_where_with_one_argument():
    rows, columns = tg.where(tg.tensor([[True, False], [True, True]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 1], [0, 0, 1])


def test_clip_with_tensors():
    x = tg.tensor([0.0, 1.0, 2.0], requires_grad=True)
    y = tg.clip(x, min=tg.tensor([0.5, 0.5, 0.5]), max=tg.tensor(1.5))
    assert y.tolist() == [0.5, 1, 1.5]
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 0]
    assert tg.clip(x, max=tg.tensor(0.5)).tolist() == [0, 0.5, 0.5]


def test_alpha_below_zero_wraps_around_unsigned_integers():
    u = tg.tensor([1, 2], dtype=tg.uint8)
    for found, expected in {
        tg.add(u, u, alpha=-1): [0, 0], tg.sub(u, u, alpha=-1): [2, 4],
        tg.rsub(u, u, alpha=-1): [2, 4], u.clone().add_(u, alpha=-1): [0, 0],
        tg.addcmul(u, u, u, value=-1): [0, 254], tg.add(u, u > 1, alpha=-1): [1, 1],
        tg.addmm(u * tg.zeros(1, 2, dtype=tg.uint8), u[None], tg.ones(2, 2, dtype=tg.uint8),
                 alpha=-1): [[253, 253]],
    }.items():  # fmt: skip
        assert found.dtype is tg.uint8
        assert found.tolist() == expected


def test_addition_with_alpha():
    assert tg.add(tg.ones(2), 3, alpha=2).tolist() == [7, 7]
    assert tg.sub(tg.ones(2), tg.ones(2), alpha=0.5).tolist() == [0.5, 0.5]


def test_shapes_from_several_spellings():
    x = tg.arange(6.0)
    for y in (x.reshape(2, 3), x.reshape((2, 3)), x.reshape([2, -1]), x.view(tg.Size((2, 3)))):
        assert y.shape == (2, 3)
    y = tg.zeros(2, 3, 4)
    assert y.permute(2, 0, 1).shape == y.permute((2, 0, 1)).shape == y.permute([-1, 0, 1]).shape
    assert y.flip(0).shape == y.flip((0, 2)).shape == y.flip([-1]).shape == y.shape
    assert y.squeeze().unsqueeze(-1).squeeze(3).shape == y.shape
    assert y.flatten().shape == (24,)
    assert y.flatten(1, 2).shape == (2, 12)
    flat = y.flatten()
    assert flat.flatten() is flat
    assert y.flatten(1, 1) is y
    assert tg.tensor(3.0).flatten().shape == (1,)
    assert tg.zeros(1, 2, 1).squeeze((0, 2)).shape == (2,)
    assert tg.zeros(2, 1).expand(-1, 3).expand(4, 2, 3).shape == (4, 2, 3)


def test_pieces():
    x = tg.arange(7)
    assert [p.tolist() for p in x.split(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [p.tolist() for p in x.split([3, 4])] == [[0, 1, 2], [3, 4, 5, 6]]
    assert [p.tolist() for p in x.chunk(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [p.shape for p in tg.zeros(2, 5).chunk(2, -1)] == [(2, 3), (2, 2)]
    assert len(x.chunk(100)) == 7


def test_aliases():
    bare = functions.BARE
    assert bare["clamp"] is bare["clip"]
    assert bare["concat"] is bare["concatenate"] is bare["cat"]
    assert bare["multiply"] is bare["mul"]
    assert tg.pow(tg.tensor([2.0]), 3).item() == 8
    assert ops.copy is ops.clone
    x = tg.tensor([-1.5, 0.5, 2.5])
    assert tg.sgn(x).tolist() == tg.sign(x).tolist() == [-1, 1, 1]
    assert tg.fix(x).tolist() == tg.trunc(x).tolist() == [-1, 0, 2]
    assert tg.trapz(x, dx=2.0).item() == tg.trapezoid(x, dx=2.0).item() == 2
    assert tg.row_stack((x, x)).tolist() == tg.vstack((x, x)).tolist() == [x.tolist()] * 2
    assert (tg.pi, tg.inf) == (math.pi, math.inf)


@pytest.mark.peers
def test_functions_without_gradient_as_pytorch(torch):
    x = np.array([-2.5, -1.0, -0.0, 0.5, 1.5, math.inf, math.nan])
    for name in ("floor", "ceil", "round", "sign", "isnan", "isinf", "isfinite", "logical_not"):
        x_ = x[:-1] if name == "sign" else x  # the sign of NaN is NaN here, 0 in PyTorch
        ours, theirs = (getattr(m, name)(m.tensor(x_)) for m in (tg, torch))
        np.testing.assert_array_equal(ours.array, theirs.numpy(), strict=True)
    for name in ("argmax", "argmin"):
        ours, theirs = (getattr(m, name)(m.tensor(A), 1).tolist() for m in (tg, torch))
        assert ours == theirs


NAN = float("nan")
MEDIANS = {  # of all elements: the value, and the gradient that equal ones share
    "median": [
        ([1.0, 3.0, 1.0, 0.0, 1.0], 1.0, [1 / 3, 0, 1 / 3, 0, 1 / 3]),
        ([float("inf"), float("inf"), 0.0], float("inf"), [0.5, 0.5, 0]),
        ([NAN, 1.0, NAN], NAN, [0.5, 0, 0.5]),
        ([2.0, 1.0], 1.0, [0, 1]),
    ],
    "nanmedian": [
        ([NAN, 2.0, 2.0, 1.0, 5.0], 2.0, [0, 0.5, 0.5, 0, 0]),
        ([NAN, NAN], NAN, [0.5] * 2),
    ],
}


def check_medians(m, name):
    for data, value, shares in MEDIANS[name]:
        x = m.tensor(data, requires_grad=True)
        y = getattr(m, name)(x)
        y.backward()
        assert y.item() == pytest.approx(value, nan_ok=True)
        assert x.grad.tolist() == pytest.approx(shares)


@pytest.mark.parametrize("name", MEDIANS)
def test_medians_share_their_gradient(name):
    check_medians(tg, name)


@pytest.mark.peers
@pytest.mark.parametrize("name", MEDIANS)
def test_medians_share_their_gradient_in_pytorch(torch, name):
    check_medians(torch, name)
