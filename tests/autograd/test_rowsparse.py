"""Row-sparse gradients: how they come about, add up and print; and SparseTensor itself."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_opt as tg
from tinygrad_opt import autograd, nn
from tinygrad_opt.nn import functional as F

INDEX = np.array([[1, 4, 1], [0, 1, 2]])


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def table():
    return tg.tensor(numbers(5, 2), requires_grad=True)


def sparse(rows, values, shape, **settings):
    return tg.sparse_coo_tensor(np.array([rows], np.int64), values, shape, **settings)


def equal(a, b):
    a, b = (x.detach().numpy() if isinstance(x, tg.Tensor) else x for x in (a, b))
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, strict=True)


# Gradients ----------------------------------------------------------------------------------------

LOOKUPS = {
    "plain": lambda w, **s: F.embedding(tg.tensor(INDEX), w, **s),
    "padding": lambda w, **s: F.embedding(tg.tensor(INDEX), w, 1, **s),
    "frequency": lambda w, **s: F.embedding(tg.tensor(INDEX), w, scale_grad_by_freq=True, **s),
    "one": lambda w, **s: F.embedding(tg.tensor(3), w, **s),
    "none": lambda w, **s: F.embedding(tg.tensor(INDEX[:0]), w, **s),
    "bag sum": lambda w, **s: F.embedding_bag(tg.tensor(INDEX), w, mode="sum", **s),
    "bag mean": lambda w, **s: F.embedding_bag(tg.tensor(INDEX), w, padding_idx=0, **s),
    "bag weights": lambda w, **s: F.embedding_bag(
        tg.tensor(INDEX), w, mode="sum", per_sample_weights=tg.tensor(numbers(2, 3)), **s
    ),
}


@pytest.mark.parametrize("lookup", LOOKUPS.values(), ids=LOOKUPS)
def test_the_gradient_is_the_dense_one(lookup):
    found = []
    for flag in (True, False):
        w = table()
        y = lookup(w, sparse=flag)
        (y * tg.tensor(numbers(*y.shape, seed=1))).sum().backward()
        found.append(w.grad)
    a, b = found
    assert (a.is_sparse, b.is_sparse) == (True, False)
    assert (a.layout, b.layout) == (tg.sparse_coo, tg.strided)
    equal(a.to_dense(), b)


@pytest.mark.parametrize("layer", [nn.Embedding, nn.EmbeddingBag])
@pytest.mark.parametrize("pretrained", [False, True])
def test_the_layers_pass_it_on(layer, pretrained):
    made = (
        layer.from_pretrained(tg.ones(5, 2), freeze=False, sparse=True)
        if pretrained else layer(5, 2, sparse=True)
    )  # fmt: skip
    made(tg.tensor(INDEX)).sum().backward()
    assert made.weight.grad.is_sparse


def test_rows_are_listed_as_they_came():
    w = table()
    F.embedding(tg.tensor(INDEX), w, 0, sparse=True).sum().backward()
    assert w.grad._indices().tolist() == [[1, 4, 1, 1, 2]]
    assert not w.grad.is_coalesced()
    once = w.grad.coalesce()
    assert once.is_coalesced()
    assert once.coalesce() is once
    assert once.indices().tolist() == [[1, 2, 4]]
    assert once.values().tolist() == [[3.0, 3.0], [1.0, 1.0], [1.0, 1.0]]
    assert (w.grad._nnz(), once._nnz()) == (5, 3)
    assert (w.grad.sparse_dim(), w.grad.dense_dim(), w.grad.dim()) == (1, 1, 2)
    assert (w.grad.shape, w.grad.dtype, str(w.grad.device)) == ((5, 2), tg.float64, "cpu")
    assert not w.grad.requires_grad


ORDERS = ["ss", "sd", "ds", "sds", "dss", "ssd"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("in_an_optimizer", [True, False])
def test_sums_of_sparse_and_dense(order, at_once, in_an_optimizer):
    w = table()
    if in_an_optimizer:  # the dense gradient has a place in the flat buffer
        optimizer = tg.optim.SGD([w], lr=0.0)
        w.grad = tg.zeros(5, 2, dtype=tg.float64)
        optimizer.step()
        optimizer.zero_grad()
    terms = [F.embedding(tg.tensor(INDEX), w, sparse=kind == "s").sum() for kind in order]
    if at_once:
        sum(terms).backward()
    else:
        for term in terms:
            term.backward()
    assert w.grad.is_sparse == ("d" not in order)
    counts = np.bincount(INDEX.ravel(), minlength=5)[:, None] * np.ones((1, 2)) * len(order)
    equal(w.grad.to_dense(), counts)
    if in_an_optimizer:
        before = w.detach().clone()
        optimizer.param_groups[0]["lr"] = 0.5
        optimizer.step()
        equal(w, before.numpy() - 0.5 * counts)


def test_gradients_do_not_share_memory():
    w, seed = table(), tg.ones(2, 3, 2, dtype=tg.float64)
    for _ in range(2):
        F.embedding(tg.tensor(INDEX), w, sparse=True).backward(seed)
    w.grad.mul_(2.0)
    assert (seed == 1).all()


def test_where_it_has_to_be_dense():
    w = table()
    y = (F.embedding(tg.tensor(INDEX), w, sparse=True) ** 2).sum()
    (g,) = autograd.grad(y, [w], create_graph=True)
    assert not g.is_sparse
    g.sum().backward()
    counts = np.bincount(INDEX.ravel(), minlength=5)[:, None]
    equal(w.grad.to_dense(), 2.0 * counts * np.ones((1, 2)))
    w.grad = None
    F.embedding(tg.tensor(INDEX), w * 3, sparse=True).sum().backward()  # no leaf
    equal(w.grad, 3.0 * counts * np.ones((1, 2)))


def test_grad_returns_it_and_hooks_see_it():
    w = table()
    y = F.embedding(tg.tensor(INDEX), w, sparse=True).sum()
    (g,) = autograd.grad(y, [w], retain_graph=True)
    assert g.is_sparse
    seen = []
    w.register_hook(lambda g: seen.append(g.is_sparse) or g * 2)
    w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad._nnz()))
    y.backward()
    assert seen == [True, 6]
    equal(w.grad.to_dense(), 2 * g.to_dense().numpy())


def test_anomaly_detection_looks_into_it():
    w = table()
    with autograd.set_detect_anomaly(True):
        y = F.embedding(tg.tensor(INDEX), w, sparse=True)
        y.sum().backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="'LookupBackward0' returned nan values"):
            y.backward(tg.full((2, 3, 2), tg.nan, dtype=tg.float64))


def test_assignment_checks_shape_type_and_kind():
    w = table()
    w.grad = sparse([0, 0], [[1.0, 2.0]] * 2, (5, 2), dtype=tg.float64)
    assert w.grad.is_sparse
    with pytest.raises(RuntimeError, match=r"assign a gradient of size '\[2, 2\]' to a tensor"):
        w.grad = sparse([0], [[1.0, 2.0]], (2, 2), dtype=tg.float64)
    with pytest.raises(RuntimeError, match="a gradient of type Float to a tensor of type Double"):
        w.grad = sparse([0], [[1.0, 2.0]], (5, 2))


def test_a_model_with_it_can_be_cleared_copied_and_converted():
    model = nn.Embedding(5, 2, sparse=True)
    model(tg.tensor(INDEX)).sum().backward()
    twin = copy.deepcopy(model)
    twin.weight.grad.mul_(3)
    assert model.weight.grad.norm().item() == pytest.approx(np.sqrt(2 * (9 + 1 + 1 + 1)))
    assert twin.weight.grad.norm().item() == pytest.approx(3 * np.sqrt(2 * (9 + 1 + 1 + 1)))
    twin.double()
    assert twin.weight.grad.dtype == tg.float64
    assert twin.weight.grad.is_sparse
    model.zero_grad(set_to_none=False)
    assert model.weight.grad._nnz() == 0
    assert not model.weight.grad.to_dense().any()


# Coalescing ---------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=40))
def test_coalescing_adds_repeats(rows):
    values = numbers(len(rows), 3)
    once = sparse(rows, values, (5, 3), dtype=tg.float64).coalesce()
    expected = np.zeros((5, 3))
    np.add.at(expected, rows, values)
    assert once._indices().tolist()[0] == sorted(set(rows))
    equal(once.to_dense(), expected)


def test_coalescing_leaves_the_original_alone():
    g = sparse([1, 0, 1], [1.0, 2.0, 3.0], (3,))
    g.coalesce()
    assert g._values().tolist() == [1.0, 2.0, 3.0]
    assert g.to_dense().tolist() == [2.0, 4.0, 0.0]


def test_a_sum_of_many_repeats_is_accurate():
    n = 1 << 16
    once = sparse([0] * n, tg.full((n,), 0.1), (1,)).coalesce()
    assert once.values().item() == pytest.approx(0.1 * n, rel=1e-6)  # one by one: 1e-3


# The Tensor ---------------------------------------------------------------------------------------


def test_arithmetic():
    g, h = sparse([1, 0], [1.0, 2.0], (3,)), sparse([1], [5.0], (3,))
    dense = tg.tensor([1.0, 1.0, 1.0])
    assert (g + h).to_dense().tolist() == [2.0, 6.0, 0.0]
    assert (g + dense).tolist() == (dense + g).tolist() == [3.0, 2.0, 1.0]
    assert (g * 3).to_dense().tolist() == (3 * g).to_dense().tolist() == [6.0, 3.0, 0.0]
    assert (g * tg.tensor([2.0])).to_dense().tolist() == [4.0, 2.0, 0.0]
    assert (g / 2).to_dense().tolist() == [1.0, 0.5, 0.0]
    assert (-g).to_dense().tolist() == [-2.0, -1.0, 0.0]
    kept = g.clone()
    assert g.mul_(4).div_(2).add_(h, alpha=2) is g
    assert g.to_dense().tolist() == [4.0, 12.0, 0.0]
    assert kept.to_dense().tolist() == [2.0, 1.0, 0.0]
    assert kept.detach().mul_(2).norm(1).item() == 6.0
    assert kept.to_dense().tolist() == [4.0, 2.0, 0.0]  # detach shares
    dense.add_(kept, alpha=0.5)
    assert dense.tolist() == [3.0, 2.0, 1.0]
    dense += h
    assert dense.tolist() == [3.0, 7.0, 1.0]
    assert kept.double().dtype == tg.float64
    assert kept.float() is kept
    assert kept.data.zero_()._nnz() == 0
    kept.data = h
    assert kept.to_dense().tolist() == [0.0, 5.0, 0.0]
    with pytest.raises(RuntimeError, match="incompatible tensor type"):
        kept.data = dense


def test_what_it_cannot_do_says_so():
    g, dense = sparse([1, 1], [1.0, 2.0], (3,)), tg.ones(3)
    for what in (lambda: g.indices(), lambda: g.values()):
        with pytest.raises(RuntimeError, match=r"on an uncoalesced tensor, please call .coal"):
            what()
    for what in (lambda: g.exp(), lambda: g.sum(), lambda: tg.cat([g, g])):
        with pytest.raises(NotImplementedError, match=r"Could not run .* call .to_dense\(\) first"):
            what()
    with pytest.raises(NotImplementedError, match="multiplied by numbers only, got shape"):
        g * dense
    with pytest.raises(RuntimeError, match=r"add\(sparse, dense\) is not supported. Use add\(dens"):
        g.add_(dense)
    for what in (g.numpy, lambda: np.asarray(g)):
        with pytest.raises(TypeError, match=r"can't convert Sparse layout tensor to numpy. Use"):
            what()


def test_it_prints_as_in_pytorch():
    assert repr(sparse([1, 1], [[1.0, 2.0], [3.0, 4.0]], (3, 2))) == (
        "tensor(indices=tensor([[1, 1]]),\n"
        "       values=tensor([[1., 2.],\n"
        "                      [3., 4.]]),\n"
        "       size=(3, 2), nnz=2, layout=torch.sparse_coo)"
    )


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(copied):
    g = sparse([1, 1], [1.0, 2.0], (3,))
    twin = copied(g)
    twin.mul_(2)
    assert g.to_dense().tolist() == [0.0, 3.0, 0.0]
    assert twin.to_dense().tolist() == [0.0, 6.0, 0.0]
    assert twin.layout is g.layout
    assert copied(tg.strided) is tg.strided


def test_making_one():
    assert sparse([0, 2], [1.0, 2.0], None).shape == (3,)
    assert sparse([], tg.zeros(0, 2), (3, 2)).to_dense().tolist() == [[0.0, 0.0]] * 3
    assert sparse([0, 2], [1.0, 2.0], None, is_coalesced=True).values().tolist() == [1.0, 2.0]
    assert sparse([0], [1], (1,), dtype=tg.float64).dtype == tg.float64
    assert tg.ones(2).to_dense().tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], [1.0], (2, 2)), RuntimeError, "indices must be a matrix"),
        (([[0, 1]], [1.0], (2,)), RuntimeError, "2 indices, values of shape"),
        (([[2]], [1.0], (2,)), RuntimeError, "size is inconsistent with indices: for dim 0"),
        (([[-1]], [1.0], (2,)), RuntimeError, "found indices from -1"),
        (([[0]], [[1.0]], (2, 3)), RuntimeError, r"values has incorrect size, expected \[1, 3\]"),
    ],
)
def test_what_does_not_fit_together(arguments, error, message):
    with pytest.raises(error, match=message):
        tg.sparse_coo_tensor(*arguments)
    with pytest.raises(NotImplementedError, match="cannot require gradients"):
        tg.sparse_coo_tensor([[0]], [1.0], (2,), requires_grad=True)


@pytest.mark.peers
@pytest.mark.parametrize("name", [n for n in LOOKUPS if n != "frequency"])  # refused there
def test_follows_pytorch(torch, name):
    def gradient(library):
        w = library.tensor(numbers(5, 2), requires_grad=True)
        index, f = library.tensor(INDEX), library.nn.functional
        factors = library.tensor(numbers(2, 3))
        y = {
            "plain": lambda: f.embedding(index, w, sparse=True),
            "padding": lambda: f.embedding(index, w, 1, sparse=True),
            "one": lambda: f.embedding(library.tensor(3), w, sparse=True),
            "none": lambda: f.embedding(index[:0], w, sparse=True),
            "bag sum": lambda: f.embedding_bag(index, w, mode="sum", sparse=True),
            "bag mean": lambda: f.embedding_bag(index, w, padding_idx=0, sparse=True),
            "bag weights": lambda: f.embedding_bag(
                index, w, mode="sum", per_sample_weights=factors, sparse=True
            ),
        }[name]()
        (y * library.tensor(numbers(*y.shape, seed=1))).sum().backward()
        return w.grad

    mine, theirs = gradient(tg), gradient(torch)
    assert mine.is_sparse == theirs.is_sparse
    equal(mine.to_dense(), theirs.to_dense().numpy())
    if mine.is_sparse:
        a, b = mine.coalesce(), theirs.coalesce()
        assert a.indices().tolist() == b.indices().tolist()
        equal(a.values(), b.values().numpy())
