"""Embedding and EmbeddingBag against NumPy, and against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn_rows.samplers import numbers

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn

INDEX = np.array([[1, 4, 1], [0, 1, 2]])


def close(a, b, tolerance=1e-12):
    a, b = (x.detach().numpy() if hasattr(x, "detach") else x for x in (a, b))
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, strict=True)


def gradient(function, table, g=None):
    """(value, gradient of the table) of a function of the table."""
    w = T.tensor(table, requires_grad=True)
    y = function(w)
    y.backward(T.tensor(numbers(*y.shape, seed=9) if g is None else g))
    return y.detach().numpy(), w.grad.numpy()


# Embedding ----------------------------------------------------------------------------------------


def test_rows_and_their_gradients():
    table, g = numbers(5, 2), numbers(2, 3, 2, seed=1)
    y, found = gradient(lambda w: F.embedding(T.tensor(INDEX), w), table, g)
    close(y, table[INDEX])
    expected = np.zeros((5, 2))
    np.add.at(expected, INDEX, g)
    close(found, expected)
    as_int32 = F.embedding(T.tensor(INDEX.astype("int32")), T.tensor(table))
    close(as_int32, table[INDEX])
    assert F.embedding(T.tensor(2), T.tensor(table)).shape == (2,)
    assert F.embedding(T.tensor(INDEX[:0]), T.tensor(table)).shape == (0, 3, 2)


@pytest.mark.parametrize("padding_idx", [1, -4])
def test_padding_receives_no_gradient_not_even_nan(padding_idx):
    g = numbers(2, 3, 2, seed=1)
    poisoned = np.where((INDEX == 1)[..., None], np.nan, g)
    y, found = gradient(
        lambda w: F.embedding(T.tensor(INDEX), w, padding_idx), table := numbers(5, 2), poisoned
    )
    close(y, table[INDEX])
    expected = np.zeros((5, 2))
    np.add.at(expected, INDEX, np.where((INDEX == 1)[..., None], 0, g))
    close(found, expected)


def test_gradients_divided_by_frequency():
    g = numbers(2, 3, 2, seed=1)
    expected = np.zeros((5, 2))
    np.add.at(expected, INDEX, g / np.where(INDEX == 1, 3, 1)[..., None])
    call = {"scale_grad_by_freq": True}
    _, found = gradient(lambda w: F.embedding(T.tensor(INDEX), w, **call), numbers(5, 2), g)
    close(found, expected)
    expected[1] = 0
    call["padding_idx"] = 1
    _, found = gradient(lambda w: F.embedding(T.tensor(INDEX), w, **call), numbers(5, 2), g)
    close(found, expected)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf])
def test_max_norm_scales_rows_that_are_looked_up(norm_type):
    table = numbers(5, 3)
    table[4] *= 1e-3  # short enough already
    layer = nn.Embedding(5, 3, max_norm=0.5, norm_type=norm_type, _weight=T.tensor(table))
    y = layer(T.tensor(INDEX))
    norms = np.linalg.norm(layer.weight.detach().numpy(), norm_type, axis=1)
    np.testing.assert_allclose(norms[:3], 0.5, rtol=1e-6)
    close(layer.weight.detach().numpy()[3:], table[3:])  # row 3 was not asked for
    close(y, layer.weight.detach().numpy()[INDEX])
    y.sum().backward()
    assert layer.weight.grad[1, 0].item() == 3.0
    written = layer.weight._version
    layer(T.tensor([4]))  # nothing to scale
    assert (written, layer.weight._version) == (1, 1)


def test_derivatives_of_two_orders():
    def run(w):
        y = F.embedding(T.tensor(INDEX), w, 1)
        return (y * y * y).sum()

    assert autograd.gradgradcheck(
        lambda w: (F.embedding(T.tensor(INDEX), w) ** 3).sum(),
        [T.tensor(numbers(5, 2), requires_grad=True)],
    )
    w = T.tensor(numbers(5, 2), requires_grad=True)
    (g,) = autograd.grad(run(w), [w], create_graph=True)
    g.sum().backward()
    counts = np.bincount(INDEX.ravel(), minlength=5) * (np.arange(5) != 1)
    close(w.grad, 6 * w.detach().numpy() * counts[:, None])


def test_layer_starts_standard_normal_with_padding_zero():
    layer = nn.Embedding(1000, 10, padding_idx=-1)
    assert layer.padding_idx == 999
    assert not layer.weight.array[999].any()
    assert layer.weight.array.std() == pytest.approx(1, rel=0.05)
    assert nn.Embedding(4, 2, dtype=T.float64).weight.dtype == T.float64
    assert nn.Embedding(4, 2, sparse=True).sparse


def test_from_pretrained():
    table = T.tensor(numbers(4, 2))
    layer = nn.Embedding.from_pretrained(table, padding_idx=1, max_norm=2.0, norm_type=1.0,
                                         scale_grad_by_freq=True, sparse=True)  # fmt: skip
    assert not layer.weight.requires_grad
    assert layer.weight.array is table.array
    assert layer.weight.array[1].any()  # the padding row keeps its values
    assert repr(layer) == (
        "Embedding(4, 2, padding_idx=1, max_norm=2.0, norm_type=1.0, scale_grad_by_freq=True, "
        "sparse=True)"
    )
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    bag = nn.EmbeddingBag.from_pretrained(table, mode="sum", padding_idx=0)
    assert (bag.mode, bag.padding_idx, bag.weight.requires_grad) == ("sum", 0, False)
    assert nn.EmbeddingBag.from_pretrained(table, freeze=False).weight.requires_grad


# EmbeddingBag -------------------------------------------------------------------------------------

REDUCE = {"sum": np.sum, "mean": np.mean, "max": np.max}
modes = pytest.mark.parametrize("mode", REDUCE)


def by_numpy(bags, table, mode, padding_idx=None, factors=None):
    """One row per bag of indices, reduced one by one."""
    rows = []
    for i, bag in enumerate(bags):
        kept = [k for k in range(len(bag)) if bag[k] != padding_idx]
        values = table[[bag[k] for k in kept]]
        if factors is not None:
            values = values * np.array([factors[i][k] for k in kept]).reshape(-1, 1)
        rows.append(REDUCE[mode](values, axis=0) if kept else np.zeros(table.shape[1]))
    return np.array(rows).reshape(len(bags), table.shape[1])


@modes
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=5),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
)
def test_bags_of_any_length(mode, bags, padding_idx, include_last):
    table = numbers(5, 3)
    starts = np.cumsum([0, *map(len, bags)])
    offsets = T.tensor(starts if include_last else starts[:-1])
    index = T.tensor(np.array([i for bag in bags for i in bag], dtype=np.int64))
    layer = nn.EmbeddingBag(5, 3, mode=mode, include_last_offset=include_last,
                            padding_idx=padding_idx, _weight=T.tensor(table))  # fmt: skip
    y = layer(index, offsets)
    close(y, by_numpy(bags, table, mode, padding_idx))
    w = T.tensor(table, requires_grad=True)
    assert autograd.gradcheck(
        lambda w: F.embedding_bag(index, w, offsets, mode=mode, include_last_offset=include_last,
                                  padding_idx=padding_idx), [w])  # fmt: skip


@modes
def test_bags_of_one_length(mode):
    table = numbers(5, 3)
    y = F.embedding_bag(T.tensor(INDEX), T.tensor(table), mode=mode)
    close(y, by_numpy(INDEX, table, mode))
    default = nn.EmbeddingBag(5, 3, _weight=T.tensor(table))(T.tensor(INDEX))
    assert mode != "mean" or y.tolist() == default.tolist()
    w = T.tensor(table, requires_grad=True)
    assert autograd.gradgradcheck(lambda w: F.embedding_bag(T.tensor(INDEX), w, mode=mode) ** 3,
                                  [w])  # fmt: skip
    empty = F.embedding_bag(T.tensor(INDEX[:0]), T.tensor(table), mode=mode)
    assert empty.shape == (0, 3)


def test_weights_of_the_samples():
    table, factors = numbers(5, 3), numbers(2, 3, seed=1)
    leaves = [T.tensor(table, requires_grad=True), T.tensor(factors, requires_grad=True)]

    def run(w, f):
        return F.embedding_bag(T.tensor(INDEX), w, mode="sum", per_sample_weights=f, padding_idx=1)

    close(run(*leaves), by_numpy(INDEX, table, "sum", 1, factors))
    assert autograd.gradcheck(run, leaves[:1] + leaves[1:])
    assert autograd.gradgradcheck(run, leaves)
    layer = nn.EmbeddingBag(5, 3, mode="sum", _weight=leaves[0].detach())
    flat = layer(T.tensor(INDEX.ravel()), T.tensor([0, 3]), T.tensor(factors.ravel()))
    close(flat, by_numpy(INDEX, table, "sum", None, factors))


def test_ties_give_the_gradient_to_the_first():
    w = T.tensor([[1.0, 5.0], [1.0, 2.0], [0.0, 5.0]], requires_grad=True)
    F.embedding_bag(T.tensor([[0, 1, 2]]), w, mode="max").sum().backward()
    assert w.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_bags_scale_and_count_as_embeddings_do():
    g = numbers(2, 2, seed=1)
    expected = np.zeros((5, 2))
    for b in range(2):
        for i in INDEX[b]:
            expected[i] += g[b] / (3 if i == 1 else 1)
    _, found = gradient(
        lambda w: F.embedding_bag(T.tensor(INDEX), w, mode="sum", scale_grad_by_freq=True),
        numbers(5, 2), g,
    )  # fmt: skip
    close(found, expected)
    layer = nn.EmbeddingBag(5, 3, max_norm=0.1)
    layer(T.tensor(INDEX))
    norms = np.linalg.norm(layer.weight.array[[0, 1, 2, 4]], axis=1)
    np.testing.assert_allclose(norms, 0.1, rtol=1e-5)


def test_bag_starts_standard_normal_with_padding_zero():
    layer = nn.EmbeddingBag(1000, 10, padding_idx=3)
    assert not layer.weight.array[3].any()
    assert layer.weight.array.std() == pytest.approx(1, rel=0.05)


def test_old_order_of_arguments_warns():
    table = T.tensor(numbers(5, 3))
    with pytest.warns(UserWarning, match="Argument order of nn.functional.embedding_bag was chang"):
        y = F.embedding_bag(table, T.tensor(INDEX))
    close(y, F.embedding_bag(T.tensor(INDEX), table))


# Mistakes -----------------------------------------------------------------------------------------


def mistakes(lib):
    f, nn, t = lib.nn.functional, lib.nn, lib.tensor
    w, two, flat = lib.zeros(3, 2), lib.tensor([[0, 1]]), lib.tensor([0, 1])
    bag = f.embedding_bag
    return {
        "index": (lambda: f.embedding(t([0, 3]), w), IndexError, "index out of range in self"),
        "negative": (lambda: f.embedding(t([-1]), w), IndexError, "index out of range in self"),
        "type": (lambda: f.embedding(t([0.0]), w), RuntimeError,
                 "to have one of the following scalar types: Long, Int; but got"),
        "short": (lambda: f.embedding(t([0], dtype=lib.int16), w), RuntimeError, "Long, Int"),
        "table": (lambda: f.embedding(flat, w[0]), RuntimeError, "'weight' must be 2-D"),
        "padding": (lambda: f.embedding(flat, w, 3), AssertionError,
                    "Padding_idx must be within num_embeddings"),
        "padding of layer": (lambda: nn.Embedding(3, 2, -4), AssertionError,
                             "Padding_idx must be within num_embeddings"),
        "weight": (lambda: nn.Embedding(3, 2, _weight=lib.zeros(2, 2)), AssertionError,
                   "Shape of weight does not match num_embeddings and embedding_dim"),
        "pretrained": (lambda: nn.Embedding.from_pretrained(w[0]), AssertionError,
                       "Embeddings parameter is expected to be 2-dimensional"),
        "bag index": (lambda: bag(t([[0, 3]]), w), RuntimeError,
                      r"Index 1 of input takes value 3 which is not in the valid range \[0, 3\)"),
        "bag type": (lambda: bag(t([[0.5]]), w), RuntimeError, "Long, Int"),
        "bag padding": (lambda: bag(two, w, padding_idx=3), RuntimeError,
                        "padding_idx must be within the number of embeddings, -3 through 2"),
        "bag table": (lambda: bag(two, w[0]), ValueError, "weight has to be a 2D Tensor"),
        "axes": (lambda: bag(two[None], w), ValueError, "input has to be 1D or 2D Tensor"),
        "offsets": (lambda: bag(two, w, flat), ValueError, "if input is 2D, then offsets has to"),
        "no offsets": (lambda: bag(flat, w), ValueError, "offsets has to be a 1D Tensor but got"),
        "offset axes": (lambda: bag(flat, w, two), ValueError, "offsets has to be a 1D Tensor"),
        "first offset": (lambda: bag(flat, w, t([1])), RuntimeError,
                         r"offsets\[0\] has to be 0, i.e., the first sequence"),
        "last offset": (lambda: bag(flat, w, t([0, 3])), RuntimeError,
                        r"offsets\[-1\] can not be greater than input's length 2 but got .* of 3"),
        "no last offset": (lambda: bag(flat[:0], w, flat[:0], include_last_offset=True),
                           RuntimeError, "number of offset should be at least 1"),
        "mode": (lambda: bag(two, w, mode="min"), ValueError,
                 "mode has to be one of sum, mean or max"),
        "max by frequency": (lambda: bag(two, w, mode="max", scale_grad_by_freq=True), ValueError,
                             "max mode does not support scaling the gradient by the frequency"),
        "max sparse": (lambda: bag(two, w, mode="max", sparse=True), ValueError,
                       "max mode does not support sparse weights"),
        "factors": (lambda: bag(two, w, per_sample_weights=lib.zeros(2)), ValueError,
                    "then it must have the same shape as the input"),
        "factors of means": (lambda: bag(two, w, per_sample_weights=lib.zeros(1, 2)),
                             NotImplementedError, "only supported for mode='sum'"),
        "factors' type": (lambda: bag(two, w, mode="sum", per_sample_weights=w[:1].double()),
                          RuntimeError, "Expected tensor for argument #1 'weight' to have the"),
    }  # fmt: skip


@pytest.mark.parametrize("name", mistakes(T))
def test_mistakes_are_named(name):
    call, error, text = mistakes(T)[name]
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("dtype", [T.float32, T.bool, T.uint8])
def test_offsets_that_are_no_indices_are_refused(dtype):
    with pytest.raises(RuntimeError, match="argument 'offsets' to have one of the following"):
        F.embedding_bag(T.tensor([0, 1]), T.ones(3, 2), T.tensor([0, 1]).to(dtype))


def test_offsets_that_decrease_are_refused():
    with pytest.raises(RuntimeError, match="offsets must not decrease"):
        F.embedding_bag(T.tensor([0, 1, 2]), T.zeros(3, 2), T.tensor([0, 2, 1]))


# Against PyTorch ----------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("name", mistakes(T))
def test_messages_read_like_pytorchs(torch, name):
    call, error, text = mistakes(torch)[name]
    with pytest.raises(error, match=text):
        call()


def both(torch, call, dtype, tolerance):
    results = []
    for lib in (T, torch):
        w = lib.tensor(numbers(5, 3).astype(dtype), requires_grad=True)
        y = call(lib, w)
        y.backward(lib.tensor(numbers(*y.shape, seed=9).astype(dtype)))
        results.append([y, w.grad, w])
    for a, b in zip(*results, strict=True):
        close(a, b, tolerance)


EMBEDDINGS = {
    "plain": {},
    "padding": {"padding_idx": -4},
    "max_norm": {"max_norm": 0.7, "norm_type": 1.0},
    "frequency": {"scale_grad_by_freq": True, "padding_idx": 0},
}
types = pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])


@pytest.mark.peers
@pytest.mark.parametrize("name", EMBEDDINGS)
@types
def test_embedding_equals_pytorch(torch, name, dtype, tolerance):
    def call(lib, w):
        return lib.nn.functional.embedding(lib.tensor(INDEX), w, **EMBEDDINGS[name])

    both(torch, call, dtype, tolerance)


@pytest.mark.peers
@modes
# Not "frequency": PyTorch's bags divide by the count of another row.
@pytest.mark.parametrize("name", [name for name in EMBEDDINGS if name != "frequency"])
@pytest.mark.parametrize("offsets", [None, [0, 2, 2, 5], [0, 1, 4, 6]])
@types
def test_bags_equal_pytorch(torch, mode, name, offsets, dtype, tolerance):
    kwargs = EMBEDDINGS[name] | {"mode": mode}

    def call(lib, w):
        index = lib.tensor(INDEX if offsets is None else INDEX.ravel())
        starts = None if offsets is None else lib.tensor(offsets)
        last = offsets is not None and offsets[-1] == 6
        y = lib.nn.functional.embedding_bag(index, w, starts, include_last_offset=last, **kwargs)
        if mode != "sum":
            return y
        factors = lib.tensor(numbers(*index.shape, seed=4).astype(dtype))
        return y + lib.nn.functional.embedding_bag(
            index, w, starts, include_last_offset=last, per_sample_weights=factors, **kwargs
        )

    both(torch, call, dtype, tolerance)


@pytest.mark.peers
@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.Embedding(4, 3),
        lambda nn: nn.Embedding(4, 3, 1, 2.0, 1.0, True, True),
        lambda nn: nn.EmbeddingBag(4, 3),
        lambda nn: nn.EmbeddingBag(4, 3, 2.0, 1.0, True, "sum", True, None, True, 2),
    ],
)
def test_text_equals_pytorchs(torch, make):
    ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
