"""Clipping: against PyTorch, in an optimizer's flat buffer, of row-sparse gradients; its errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import optim
from tinygrad_opt.kernels.fused import reduce
from tinygrad_opt.nn import utils
from tinygrad_opt.nn.utils import clip_grad

SHAPES = [(3,), (2, 3), (), (4, 2), (0,), (5,)]
MISSING = 3
ORDERS = [2.0, 1, 3, 0.5, math.inf, 0, -1, -2.5]


def values(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in SHAPES]


def parameters(library, dtype="float64"):
    kind = getattr(library, dtype)
    params = [library.zeros(v.shape, dtype=kind).requires_grad_() for v in values()]
    for i, (p, v) in enumerate(zip(params, values(), strict=True)):
        p.grad = None if i == MISSING else library.tensor(v, dtype=kind)
    return params


def in_an_optimizer(dtype="float64"):
    """The same gradients, in one flat buffer but for the neighbour of the missing one."""
    params = parameters(tg, dtype)
    for p in params:
        p.grad = tg.zeros_like(p)
    optim.SGD(params, lr=0.0).step()
    for i, (p, v) in enumerate(zip(params, values(), strict=True)):
        p.grad = None
        if i != MISSING:
            (p * tg.tensor(v, dtype=p.dtype)).sum().backward()
    return params


def flat(params):
    return np.concatenate([p.grad.numpy().ravel() for p in params if p.grad is not None])


@pytest.mark.peers
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norms_and_clipped_gradients_are_pytorchs(torch, order, dtype):
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    for make in (parameters, lambda _, dtype: in_an_optimizer(dtype)):
        a, b = make(tg, dtype), parameters(torch, dtype)
        if order < 0 or order == math.inf:  # PyTorch has no such norm of nothing
            a, b = a[:4] + a[5:], b[:4] + b[5:]
        norms = [lib.clip_grad_norm_(ps, 0.7, order)
                 for lib, ps in ((utils, a), (torch.nn.utils, b))]  # fmt: skip
        assert norms[0].item() == pytest.approx(norms[1].item(), rel=tolerance)
        assert str(norms[0].dtype) == str(norms[1].dtype)
        np.testing.assert_allclose(flat(a), flat(b), rtol=tolerance, atol=1e-300)
        found = tg.nn.utils.get_total_norm([p.grad for p in a if p.grad is not None], order)
        assert found.item() == pytest.approx(
            torch.nn.utils.get_total_norm(
                [p.grad for p in b if p.grad is not None], order
            ).item(), rel=tolerance
        )  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_a_flat_buffer_changes_nothing(order):
    a, b = in_an_optimizer(), parameters(tg)
    norms = [utils.clip_grad_norm_(ps, 0.7, order).item() for ps in (a, b)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-14)
    np.testing.assert_allclose(flat(a), flat(b), rtol=1e-14)
    again = in_an_optimizer()
    assert utils.clip_grad_norm_(again, 0.7, order).item() == norms[0]  # to the bit
    assert flat(again).tolist() == flat(a).tolist()
    for ps in (a, b):
        utils.clip_grad_value_(ps, 0.005)
    np.testing.assert_allclose(flat(a), flat(b), rtol=1e-14)
    assert abs(flat(a)).max() == 0.005


def test_neighbours_are_one_reduction(monkeypatch):
    params, sizes = in_an_optimizer(), []
    norm = reduce.norm
    monkeypatch.setattr(reduce, "norm", lambda x, order: sizes.append(x.size) or norm(x, order))
    utils.clip_grad_norm_(params, 1.0)
    monkeypatch.setattr(clip_grad, "_MOST", 0)  # nothing is copied
    assert sizes == [15]  # two pieces, with what has no gradient between them: copied together
    sizes.clear()
    utils.clip_grad_norm_(params, 1.0)
    assert sizes == [10, 5]
    sizes.clear()
    utils.clip_grad_norm_([params[1], params[0], params[5]], 1.0)  # in another order: each alone
    assert sizes == [6, 3, 5]
    params[1].grad.data = tg.ones(2, 3, dtype=tg.float64)  # somewhere else
    sizes.clear()
    assert utils.clip_grad_norm_(params[:3], math.inf).item() > math.sqrt(6)
    assert sizes == [3, 6, 1]


def test_small_gradients_are_copied_together(monkeypatch):
    sizes, norm = [], reduce.norm
    monkeypatch.setattr(reduce, "norm", lambda x, order: sizes.append(x.size) or norm(x, order))
    monkeypatch.setattr(clip_grad, "_MOST", 8)
    params = [tg.zeros(n, dtype=d).requires_grad_()
              for n, d in ((3, tg.float64), (5, tg.float64), (2, tg.float64), (2, tg.float32),
                           (9, tg.float32), (1, tg.float32), (0, tg.float32))]  # fmt: skip
    for k, p in enumerate(params):
        p.grad = tg.full_like(p, k + 1.0)
    expected = math.sqrt(sum(p.numel() * (k + 1.0) ** 2 for k, p in enumerate(params)))
    found = utils.clip_grad_norm_(params, expected / 2)
    assert found.item() == pytest.approx(expected, rel=1e-14)
    assert sizes == [8, 2, 2, 9, 1]
    assert [p.grad[0].item() for p in params[:6]] == pytest.approx([k / 2 for k in range(1, 7)])


def test_what_was_clipped_is_what_is_stepped():
    params = in_an_optimizer()
    optimizer = optim.SGD(params, lr=1.0)
    for p in params:
        p.grad = tg.zeros_like(p)
    optimizer.step()
    optimizer.zero_grad()
    sum((p * 3).sum() for p in params).backward()
    utils.clip_grad_value_(params, 2.0)
    optimizer.step()
    assert all((p == -2).all() for p in params)


# Row-sparse gradients -----------------------------------------------------------------------------


def with_rows():
    p, q = tg.zeros(4, 2, requires_grad=True), tg.zeros(3, requires_grad=True)
    p.grad = tg.sparse_coo_tensor([[3, 0, 3]], [[1.0, -2.0], [0.5, 3.0], [2.0, -2.0]], (4, 2))
    q.grad = tg.tensor([1.0, -1.0, 2.0])
    return [p, q]


@pytest.mark.parametrize("order", [2.0, 1, math.inf, 0.5])
def test_rows_count_as_their_sums(order):
    a, b = with_rows(), with_rows()
    b[0].grad = b[0].grad.to_dense()
    total = utils.get_total_norm([p.grad for p in a], order).item()
    assert not a[0].grad.is_coalesced()  # asking changes nothing
    assert total == utils.get_total_norm([p.grad for p in b], order).item()
    assert utils.clip_grad_norm_(a, 0.5, order).item() == total
    utils.clip_grad_norm_(b, 0.5, order)
    assert a[0].grad.is_sparse
    assert a[0].grad.to_dense().tolist() == b[0].grad.tolist()
    assert a[1].grad.tolist() == b[1].grad.tolist()


def test_rows_are_limited_as_their_sums():
    p, q = with_rows()
    utils.clip_grad_value_([p, q], 1.5)
    assert p.grad.to_dense().tolist() == [[0.5, 1.5], [0.0, 0.0], [0.0, 0.0], [1.5, -1.5]]
    assert q.grad.tolist() == [1.0, -1.0, 1.5]


# Who is to blame ----------------------------------------------------------------------------------


def test_the_gradients_to_blame_are_listed():
    net = tg.nn.Linear(3, 2)
    net.weight.grad = tg.tensor([[1.0, math.nan, math.inf], [-math.inf, 0.0, 1.0]])
    net.bias.grad = tg.ones(2)
    lines = "\n  {}: 1 NaN and 2 infinite of 6 elements"
    for params, label in ((net.parameters(), "[0]"), (net.named_parameters(), "[0] weight")):
        with pytest.raises(RuntimeError, match=r"order 2.0 .* is non-finite, so it") as raised:
            utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
        assert str(raised.value).endswith("to blame:" + lines.format(label))


def test_a_long_list_is_cut_and_an_overflow_is_told():
    params = [tg.zeros(1, dtype=tg.float64, requires_grad=True) for _ in range(13)]
    for p in params:
        p.grad = tg.full((1,), math.nan, dtype=tg.float64)
    with pytest.raises(RuntimeError, match=r"\[9\].*\n  ... and 3 more$"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    for p in params:
        p.grad = tg.full((1,), 1e200, dtype=tg.float64)
    params[0].grad = None
    with pytest.raises(RuntimeError, match="Every gradient is finite: their norm overflows"):
        utils.clip_grad_norm_(params, 1.0, 3.0, error_if_nonfinite=True)


def test_row_sparse_gradients_are_listed_too():
    p, q = with_rows()
    p.grad = tg.sparse_coo_tensor([[3, 3]], [[math.inf, 1.0], [-math.inf, 1.0]], (4, 2))
    with pytest.raises(RuntimeError, match=r"\[1\]: 1 NaN and 0 infinite of 2 elements"):
        utils.clip_grad_norm_([q, p], 1.0, error_if_nonfinite=True)


# Ways to call -------------------------------------------------------------------------------------


def test_generators_names_one_tensor_and_nothing():
    def used_up():
        yield from ()

    with pytest.warns(UserWarning, match="`parameters` is an empty generator, no gradient clippi"):
        assert utils.clip_grad_norm_(used_up(), 1.0).item() == 0.0
    params = parameters(tg)
    named = [(f"p{i}", p) for i, p in enumerate(params)]
    norm = utils.clip_grad_norm_(iter(named), 0.5)
    assert norm.item() == pytest.approx(np.linalg.norm(np.concatenate(
        [v.ravel() for i, v in enumerate(values()) if i != MISSING])))  # fmt: skip
    assert utils.get_total_norm(p.grad for p in params if p.grad is not None).item() < 0.5
    utils.clip_grad_value_(named, 0.01)
    assert abs(flat(params)).max() == 0.01
    utils.clip_grads_with_norm_(named, 1.0, tg.tensor(2.0))
    assert abs(flat(params)).max() == pytest.approx(0.005, rel=1e-6)
    utils.clip_grads_with_norm_([], 1.0, 2.0)
    utils.clip_grad_value_(params[0], 0.001)
    assert abs(params[0].grad.numpy()).max() == 0.001


def test_the_old_name_warns():
    p = tg.zeros(2, requires_grad=True)
    p.grad = tg.tensor([3.0, 4.0])
    with pytest.warns(FutureWarning, match="`torch.nn.utils.clip_grad_norm` is now deprecated"):
        assert utils.clip_grad_norm(p, 1.0).item() == 5.0
    assert p.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-5)


def test_two_types_and_half_precision():
    p = tg.zeros(2, dtype=tg.float16, requires_grad=True)
    q = tg.zeros(2, dtype=tg.float64, requires_grad=True)
    p.grad, q.grad = tg.tensor([3.0, 0.0], dtype=tg.float16), tg.tensor([4.0, 0.0]).double()
    norm = utils.clip_grad_norm_([p, q], 1.0)
    assert (norm.item(), norm.dtype) == (5.0, tg.float64)
    assert (p.grad.dtype, q.grad.dtype) == (tg.float16, tg.float64)
    assert p.grad[0].item() == pytest.approx(0.6, rel=1e-3)


def test_nan_stays_nan_when_limited():
    p = tg.zeros(3, requires_grad=True)
    p.grad = tg.tensor([math.nan, math.inf, -5.0])
    utils.clip_grad_value_(p, 2)
    assert str(p.grad.tolist()) == "[nan, 2.0, -2.0]"
