"""Sparse tensors by coordinates: adjacency matrices, against their dense forms."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.autograd import gradcheck
from tinygrad_opt.tensors.coordinates import CooTensor

AT = tg.tensor([[0, 1, 1, 2, 1], [1, 0, 2, 1, 0]])  # (1, 0) twice
VALUES = tg.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
DENSE = [[0.0, 1.0, 0.0], [7.0, 0.0, 3.0], [0.0, 4.0, 0.0]]


def matrix(values=VALUES):
    return tg.sparse_coo_tensor(AT, values, (3, 3))


X = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
PRODUCT = (np.array(DENSE) @ X.numpy()).tolist()


@pytest.mark.parametrize(
    "multiply",
    [
        lambda a: tg.sparse.mm(a, X), lambda a: tg.spmm(a, X), lambda a: tg.mm(a, X),
        lambda a: a @ X, lambda a: tg.matmul(a, X), lambda a: (X.t() @ a.t()).t(),
        lambda a: tg.stack([a @ X[:, 0], a.mv(X[:, 1])], 1), lambda a: tg.sparse.mm(X.t(), a.T).t(),
        lambda a: tg.sparse.addmm(tg.zeros(3, 2), a * 2, X, alpha=0.5),
    ],
    ids=["sparse.mm", "spmm", "mm", "@", "matmul", "dense @", "vectors", "both ways", "addmm"],
)  # fmt: skip
def test_products_are_those_of_the_dense_form(multiply):
    assert multiply(matrix()).tolist() == PRODUCT
    assert multiply(matrix().coalesce()).tolist() == PRODUCT


def test_gradients_of_the_factor_and_of_the_values():
    values = VALUES.double().requires_grad_()
    x = X.double().requires_grad_()
    assert gradcheck(lambda v, x: tg.sparse.mm(matrix(v), x), (values, x))
    assert gradcheck(lambda v: matrix(v).coalesce().to_dense(), (values,))
    assert gradcheck(lambda v, x: (matrix(v) * x[:, :1]).to_dense(), (values, x))
    assert matrix(values).requires_grad
    assert not matrix(values).detach().requires_grad


def test_forms():
    a = matrix()
    assert (a.is_sparse, a.layout, a._nnz(), a.sparse_dim(), a.dense_dim()) == (
        True, tg.sparse_coo, 5, 2, 0,
    )  # fmt: skip
    assert a.to_dense().tolist() == DENSE
    once = a.coalesce()
    assert once.indices().tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert once.values().tolist() == [1.0, 7.0, 3.0, 4.0]
    assert once.is_coalesced()
    assert once.coalesce() is once
    assert tg.tensor(DENSE).to_sparse().values().tolist() == [1.0, 7.0, 3.0, 4.0]
    rows = tg.tensor(DENSE).to_sparse(1)
    assert rows.values().tolist() == DENSE
    assert rows.dense_dim() == 1
    assert (a + a * 2).to_dense().tolist() == (np.array(DENSE) * 3).tolist()
    assert (a - a / 2).to_dense().tolist() == (np.array(DENSE) / 2).tolist()
    assert (a + tg.ones(3, 3)).sum().item() == 24.0
    assert a.transpose(0, 1).to_dense().tolist() == np.array(DENSE).T.tolist()
    assert a.double().dtype == tg.float64
    for copied in (a.clone(), copy.deepcopy(a), pickle.loads(pickle.dumps(a)), a.to("cpu")):
        assert copied.to_dense().tolist() == DENSE
    assert tg.sparse_coo_tensor([[0, 2], [1, 0]], [1.0, 2.0]).shape == (3, 2)
    assert tg.sparse.FloatTensor(AT, VALUES, tg.Size([3, 3])).to_dense().tolist() == DENSE
    text = repr(once)
    assert text.startswith("tensor(indices=tensor([[0, 1, 1, 2],\n")
    assert text.endswith("size=(3, 3), nnz=4, layout=torch.sparse_coo)")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: matrix() @ tg.ones(2, 2), RuntimeError, r"cannot be multiplied \(3x3 and 2x2\)"),
        (lambda: matrix() @ matrix(), NotImplementedError, "one of two sparse factors"),
        (lambda: matrix() * matrix(), NotImplementedError, "one of two sparse factors"),
        (lambda: matrix() + tg.sparse_coo_tensor(AT, VALUES), None, ""),
        (lambda: matrix() + tg.sparse_coo_tensor(AT, VALUES, (4, 4)), RuntimeError, "of one shape"),
        (lambda: matrix().indices(), RuntimeError, "call .coalesce.. first"),
        (lambda: matrix().exp(), NotImplementedError, "Could not run 'exp' on a sparse tensor"),
        (lambda: matrix().numpy(), TypeError, "Use Tensor.to_dense"),
        (lambda: tg.sparse_coo_tensor(AT, VALUES, (2, 3)), RuntimeError, "dim 0, size is 2 but"),
        (lambda: tg.sparse_coo_tensor(AT, VALUES[:2]), RuntimeError, "5 indices, values of shape"),
        (lambda: tg.sparse_coo_tensor(AT, VALUES, (3,)), RuntimeError, "values has incorrect size"),
        (lambda: tg.ones(2).to_sparse(2), ValueError, "sparse_dim must be 1 to 1, got 2"),
        (lambda: tg.sparse_coo_tensor(AT, VALUES, requires_grad=True), NotImplementedError, "let"),
        (lambda: CooTensor(np.zeros((1, 0), int), tg.ones(0), (1,)).t(), RuntimeError, "matrix"),
    ],
)  # fmt: skip
def test_refusals(call, error, text):
    if error is None:
        assert call().shape == (3, 3)
        return
    with pytest.raises(error, match=text):
        call()
