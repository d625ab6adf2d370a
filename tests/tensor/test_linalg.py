"""Linear algebra beyond the table of operations: named results, kinds of matrices, messages."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_opt as T
from tinygrad_opt import autograd, linalg


def numbers(*shape, seed=0):
    return T.tensor(np.random.default_rng(seed).standard_normal(shape))


def same(a, b, tolerance=1e-12):
    np.testing.assert_allclose(
        getattr(a, "array", a), getattr(b, "array", b), atol=tolerance, rtol=tolerance
    )


SINGULAR = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]


def test_public_names():
    assert set(linalg.__all__) == {name for name in vars(linalg) if not name.startswith("_")}
    for name in linalg.__all__:
        assert getattr(linalg, name).__doc__


# Results ------------------------------------------------------------------------------------------


def test_named_results():
    a = numbers(3, 3)
    q, r = linalg.qr(a)
    same(q @ r, a)
    u, s, vh = linalg.svd(a)
    same(u @ (s.unsqueeze(-1) * vh), a)
    w, v = linalg.eigh(a + a.T)
    same(v @ (w.unsqueeze(-1) * v.T), a + a.T)
    sign, log = linalg.slogdet(a)
    same(sign * log.exp(), linalg.det(a))
    assert linalg.svd(a)._fields == ("U", "S", "Vh")
    assert T.svd(a)._fields == ("U", "S", "V")
    assert linalg.eigh(a)._fields == ("eigenvalues", "eigenvectors")
    same(linalg.eigvalsh(a + a.T), w)
    same(linalg.svdvals(a), s)


def test_triangles_that_are_read():
    a = numbers(3, 3)
    lower, upper = T.tril(a) + T.tril(a, -1).T, T.triu(a) + T.triu(a, 1).T
    same(linalg.eigvalsh(a), linalg.eigvalsh(lower))
    same(linalg.eigvalsh(a, "U"), linalg.eigvalsh(upper))
    positive = a @ a.T + T.eye(3, dtype=T.float64)
    same(linalg.cholesky(T.tril(positive)), linalg.cholesky(positive))
    same(linalg.cholesky(T.triu(positive), upper=True), linalg.cholesky(positive).T)


def test_complete_factors_and_modes():
    a = numbers(4, 2)
    q, r = linalg.qr(a, mode="complete")
    assert q.shape == (4, 4)
    same(q @ r, a)
    assert linalg.qr(a, mode="r").Q.shape == (0,)
    same(linalg.qr(a, mode="r").R, linalg.qr(a).R)
    u, s, vh = linalg.svd(a)
    assert (u.shape, s.shape, vh.shape) == ((4, 4), (2,), (2, 2))
    same(u[:, :2] @ (s.unsqueeze(-1) * vh), a)
    assert T.svd(a, some=False).U.shape == (4, 4)
    assert not T.svd(a, compute_uv=False).U.array.any()


def test_rank_and_cutoffs():
    a = T.tensor(SINGULAR)
    assert linalg.matrix_rank(a).item() == 2
    assert linalg.matrix_rank(a).dtype == T.int64
    assert linalg.matrix_rank(a, atol=100.0).item() == 0
    assert linalg.matrix_rank(a, rtol=0.9).item() == 1
    assert linalg.matrix_rank(a + a.T, hermitian=True).item() == 3
    assert linalg.matrix_rank(T.zeros(2, 3, 3)).tolist() == [0, 0]
    a = T.tensor([[1.0, 0.0], [0.0, 1e-3]])
    same(linalg.pinv(a), [[1, 0], [0, 1e3]], 1e-6)
    for cut in ({"rtol": 1e-2}, {"atol": 1e-2}, {"rcond": 1e-2}):
        same(linalg.pinv(a, **cut), [[1, 0], [0, 0]])
    same(T.pinverse(a, 1e-2), [[1, 0], [0, 0]])


def test_least_squares():
    a, b = numbers(5, 2), numbers(5, 3)
    found = linalg.lstsq(a, b, driver="gelsd")
    expected = np.linalg.lstsq(a.array, b.array)
    same(found.solution, expected[0])
    same(found.residuals, expected[1])
    assert found.rank.item() == 2
    same(found.singular_values, expected[3])
    plain = linalg.lstsq(a, b[:, 0])
    same(plain.solution, expected[0][:, 0])
    assert plain.residuals.numel() == plain.singular_values.numel() == 0
    wide = linalg.lstsq(a.T, b[:2]).solution
    same(a.T @ wide, b[:2])
    same(wide, np.linalg.lstsq(a.array.T, b.array[:2])[0])


def test_failures_as_numbers():
    matrices = T.stack([T.eye(3), T.tensor(SINGULAR), -T.eye(3)])
    inverse, info = linalg.inv_ex(matrices)
    assert info.tolist() == [0, 1, 0]
    assert info.dtype == T.int32
    same(inverse[2], -T.eye(3))
    assert inverse[1].isnan().all()
    factor, info = linalg.cholesky_ex(matrices)
    assert info.tolist() == [0, 1, 1]
    same(factor[0], T.eye(3))
    same(linalg.inv_ex(T.eye(2)).inverse, T.eye(2))
    with pytest.raises(linalg.LinAlgError, match="singular"):
        linalg.inv_ex(matrices, check_errors=True)


def test_condition_numbers():
    a = numbers(3, 3)
    for p in (None, 2, -2, "fro", "nuc", 1, -1, math.inf, -math.inf):
        same(linalg.cond(a, p), np.linalg.cond(a.array, p), 1e-10)
    assert linalg.cond(T.zeros(2, 2), 1).isnan().item()
    assert linalg.cond(T.tensor(SINGULAR), "fro").item() > 1e6


def test_norms_of_vectors_and_matrices():
    a = numbers(3, 4)
    for order in (2, 1, math.inf, "fro", "nuc", -2):
        same(linalg.norm(a, order), np.linalg.norm(a.array, order))
    for order in (None, 2, 1, 0, -math.inf):
        same(linalg.norm(a[0], order), np.linalg.norm(a.array[0], order))
    same(linalg.norm(a, 1, dim=1), np.abs(a.array).sum(1))
    same(linalg.norm(a, dim=(0, 1), keepdim=True), [[np.linalg.norm(a.array)]])
    same(linalg.vector_norm(a), np.linalg.norm(a.array))
    assert linalg.vector_norm(a.float(), dtype=T.float64).dtype == T.float64


def test_powers_and_exponentials():
    a = numbers(3, 3)
    same(linalg.matrix_power(a, 0), T.eye(3, dtype=T.float64))
    same(linalg.matrix_power(a, 1), a)
    same(linalg.matrix_power(a, -3) @ linalg.matrix_power(a, 3), T.eye(3, dtype=T.float64), 1e-9)
    same(linalg.matrix_exp(T.zeros(2, 2)), T.eye(2))
    turn = linalg.matrix_exp(T.tensor([[0.0, -math.pi], [math.pi, 0.0]], dtype=T.float64))
    same(turn, -T.eye(2, dtype=T.float64))
    large = linalg.matrix_exp(T.tensor([[20.0, 0.0], [0.0, -20.0]], dtype=T.float64))
    same(large.diagonal() / T.tensor([math.exp(20), math.exp(-20)], dtype=T.float64), [1, 1], 1e-8)


def test_products_in_the_cheapest_order():
    from tinygrad_opt.functions.norms import _splits

    # Cormen et al.: ((A1 (A2 A3)) ((A4 A5) A6)) for these sizes.
    sizes = [30, 35, 15, 5, 10, 20, 25]
    split = _splits(list(itertools.pairwise(sizes)))
    assert (split[0, 5], split[0, 2], split[3, 5]) == (2, 0, 4)


def test_zero_beta_ignores_the_input():
    nan = T.full((2, 2), math.nan)
    assert T.addmm(nan, T.eye(2), T.eye(2), beta=0).tolist() == [[1, 0], [0, 1]]


def test_whole_numbers_multiply():
    a = T.tensor([[1, 2], [3, 4]])
    assert T.mm(a, a).dtype == T.int64
    assert T.einsum("ij,jk->ik", a, a).tolist() == T.mm(a, a).tolist()
    assert a.mv(T.tensor([1, 1])).tolist() == [3, 7]


def test_empty_matrices():
    empty = T.zeros(0, 3, 3)
    for function in (linalg.inv, linalg.cholesky, linalg.matrix_exp):
        assert function(empty).shape == (0, 3, 3)
    assert linalg.det(empty).shape == (0,)
    assert linalg.det(T.zeros(0, 0)).item() == 1
    assert linalg.solve(empty, empty).shape == (0, 3, 3)
    assert T.einsum("ij,jk->ik", T.zeros(2, 0), T.zeros(0, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


# Gradients at special places ----------------------------------------------------------------------


def test_the_determinant_of_a_singular_matrix_has_a_gradient():
    a = T.tensor(SINGULAR, dtype=T.float64, requires_grad=True)
    linalg.det(a).backward()
    same(a.grad, [[4, 4, -4], [-2, -2, 2], [0, 0, 0]])
    twice = T.zeros(2, 2, dtype=T.float64, requires_grad=True)
    linalg.det(twice).backward()
    same(twice.grad, T.zeros(2, 2))
    assert autograd.gradcheck(linalg.det, [a.detach().requires_grad_()])


def test_full_factors_have_no_gradient():
    a = numbers(4, 2).requires_grad_()
    assert not linalg.svd(a).U.requires_grad
    assert autograd.gradcheck(lambda a: linalg.svd(a).S, [a])
    assert linalg.svd(a, full_matrices=False).U.requires_grad
    assert not linalg.qr(a, mode="complete").Q.requires_grad


def test_distances_of_equal_rows_have_gradient_zero():
    x = numbers(2, 3).requires_grad_()
    T.cdist(x, x.detach()).diagonal().sum().backward()
    assert not x.grad.array.any()


# Einstein's summation -----------------------------------------------------------------------------


def test_equations_as_people_write_them():
    a, b = numbers(2, 3), numbers(3, 4)
    same(T.einsum(" i j , j k -> i k ", a, b), a @ b)
    same(T.einsum("ij,jk", [a, b]), a @ b)
    same(T.einsum(a, [0, 1], b, [1, 2]), a @ b)
    same(T.einsum("bA,cA", a, a), (a @ a.T).T.T)
    same(T.einsum("i->", a[0]), a[0].sum())
    assert T.einsum("ij->ij", a).shape == (2, 3)
    same(T.einsum("...", a), a)
    same(T.einsum("i...,j...->ij...", a, a), a.array[:, None] * a.array[None])


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_einsum_agrees_with_numpy(data):
    letters = "abcd"
    sizes = {letter: data.draw(st.integers(1, 3)) for letter in letters}
    terms = data.draw(st.lists(st.text(letters, max_size=4), min_size=1, max_size=3))
    seen = sorted(set("".join(terms)))
    output = data.draw(st.permutations(seen))[: data.draw(st.integers(0, len(seen)))]
    equation = ",".join(terms)
    if data.draw(st.booleans()):
        equation += "->" + "".join(output)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal([sizes[letter] for letter in term]) for term in terms]
    y = T.einsum(equation, *map(T.tensor, arrays))
    expected = np.einsum(equation, *arrays)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.array, expected, atol=1e-11)


# Errors -------------------------------------------------------------------------------------------


def z(t, *shape):
    return t.zeros(*shape)


ERRORS = {
    "inv": (lambda t: t.linalg.inv(t.zeros(2, 2)),
            r"linalg.inv: The diagonal element 1 is zero, the inversion could not be completed "
            r"because the input matrix is singular"),
    "inv of a batch": (lambda t: t.inverse(t.stack([t.eye(2), t.ones(2, 2)])),
                       r"linalg.inv: \(Batch element 1\): The diagonal element 2 is zero"),
    "not square": (lambda t: t.linalg.inv(t.zeros(2, 3)),
                   "linalg.inv: A must be batches of square matrices, but they are 2 by 3"),
    "no matrix": (lambda t: t.linalg.svd(t.zeros(2)),
                  "linalg.svd: The input tensor A must have at least 2 dimensions"),
    "whole numbers": (lambda t: t.linalg.det(t.eye(2).long()),
                      "Expected a floating point or complex tensor as input. Got Long"),
    "half": (lambda t: t.linalg.inv(t.eye(2).half()), "Low precision dtypes not supported"),
    "solve": (lambda t: t.linalg.solve(t.zeros(2, 2), t.ones(2)),
              "torch.linalg.solve: The solver failed because the input matrix is singular"),
    "solve, shapes": (lambda t: t.linalg.solve(t.eye(2), t.ones(3)),
                      r"Incompatible shapes of A and B for the equation AX = B \(2x2 and 3x1\)"),
    "solve, types": (lambda t: t.linalg.solve(t.eye(2), t.ones(2).double()),
                     "Expected A and B to have the same dtype"),
    "triangular, vector": (lambda t: t.linalg.solve_triangular(t.eye(2), t.ones(2), upper=True),
                           "The input tensor B must have at least 2 dimensions"),
    "cholesky": (lambda t: t.linalg.cholesky(-t.eye(2)),
                 r"linalg.cholesky: The factorization could not be completed because the input is "
                 r"not positive-definite \(the leading minor of order 1 is not positive-definite"),
    "cholesky of a batch": (
        lambda t: t.linalg.cholesky(t.stack([t.eye(2), t.ones(2, 2) - t.eye(2)])),
        r"\(Batch element 1\): .*the leading minor of order 1"),
    "qr": (lambda t: t.linalg.qr(t.zeros(2, 2), mode="some"),
           "qr received unrecognized mode 'some'"),
    "eigh": (lambda t: t.linalg.eigh(t.eye(2), UPLO="x"),
             "Expected UPLO argument to be 'L' or 'U', but got x"),
    "lstsq": (lambda t: t.linalg.lstsq(t.zeros(3, 2), t.ones(2, 2)),
              r"input.size\(-2\) should match other.size\(-2\)"),
    "driver": (lambda t: t.linalg.lstsq(t.zeros(3, 2), t.ones(3, 2), driver="some"),
               "parameter `driver` should be one of"),
    "norm of matrices": (lambda t: t.linalg.matrix_norm(t.zeros(3)),
                         "linalg.matrix_norm: The input tensor A must have at least 2 dimensions"),
    "order": (lambda t: t.linalg.matrix_norm(t.zeros(3, 3), 3),
              "linalg.matrix_norm: Order 3 not supported"),
    "norm of many axes": (lambda t: t.linalg.norm(t.zeros(3, 3, 3), 2),
                          "the input must be 1D or 2D. Got 3D"),
    "norm over many axes": (lambda t: t.linalg.norm(t.zeros(3, 3, 3), 2, dim=(0, 1, 2)),
                            "it must be of length 1 or 2"),
    "norm of whole numbers": (lambda t: t.linalg.vector_norm(t.arange(3)),
                              "Expected a floating point or complex tensor as input. Got Long"),
    "axes of a matrix": (lambda t: t.linalg.matrix_norm(t.zeros(3, 3), dim=(0, 0)),
                         "dims must be different"),
    "cross": (lambda t: t.linalg.cross(t.zeros(3, 2), t.zeros(3, 2)),
              "linalg.cross: inputs dimension -1 must have length 3. Got 2 and 2"),
    "multi_dot": (lambda t: t.linalg.multi_dot([t.zeros(2)]),
                  r"multi_dot\(\): expected at least 2 tensors but got 1"),
    "multi_dot, axes": (lambda t: t.linalg.multi_dot([t.zeros(2, 2), t.zeros(2), t.zeros(2, 2)]),
                        "must be 2D but got 1D"),
    "tensorinv": (lambda t: t.linalg.tensorinv(t.zeros(2, 3), ind=1),
                  r"Expected self to satisfy the requirement prod\(self.shape\[ind:\]\)"),
    "tensorsolve": (lambda t: t.linalg.tensorsolve(t.zeros(2, 3), t.zeros(2)),
                    r"Expected self to satisfy the requirement prod\(self.shape\[other.ndim:\]\)"),
    "mm": (lambda t: t.mm(t.zeros(2, 3), t.zeros(2, 3)),
           r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\)"),
    "mm, self": (lambda t: t.mm(t.zeros(2, 3, 1), t.zeros(2, 3)), "self must be a matrix"),
    "mm, mat2": (lambda t: t.mm(t.zeros(2, 3), t.zeros(3)), "mat2 must be a matrix"),
    "mm, types": (lambda t: t.mm(t.zeros(2, 3), t.zeros(3, 2).double()),
                  "expected m1 and m2 to have the same dtype, but got: float != double"),
    "bmm": (lambda t: t.bmm(t.zeros(2, 3, 4), t.zeros(3, 4, 2)),
            r"Expected size for first two dimensions of batch2 tensor to be: \[2, 4\] but got: "
            r"\[3, 4\]"),
    "bmm, batch1": (lambda t: t.bmm(t.zeros(2, 3), t.zeros(3, 2)), "batch1 must be a 3D tensor"),
    "mv": (lambda t: t.mv(t.zeros(2, 3), t.zeros(2)), "size mismatch, got input"),
    "mv, axes": (lambda t: t.mv(t.zeros(2), t.zeros(2)), "vector . matrix @ vector expected"),
    "inner": (lambda t: t.inner(t.zeros(2, 3), t.zeros(2)), "the last dimension must match"),
    "addmm": (lambda t: t.addmm(t.zeros(5), t.zeros(2, 3), t.zeros(3, 4)),
              r"The expanded size of the tensor \(4\) must match the existing size \(5\) at "
              r"non-singleton dimension 1"),
    "addmm, types": (lambda t: t.addmm(t.zeros(4).double(), t.zeros(2, 3), t.zeros(3, 4)),
                     "self and mat2 must have the same dtype, but got Double and Float"),
    "tensordot": (lambda t: t.tensordot(t.zeros(2, 3), t.zeros(2, 3), 1),
                  "contracted dimensions need to match, but first has size 3 in dim"),
    "tensordot, negative": (lambda t: t.tensordot(t.zeros(2), t.zeros(2), -1),
                            "tensordot expects dims >= 0, but got dims=-1"),
    "tensordot, too many": (lambda t: t.tensordot(t.zeros(2), t.zeros(2), 2), "tensordot expects"),
    "tensordot, lists": (lambda t: t.tensordot(t.zeros(2, 3), t.zeros(2, 3), ([0], [0, 1])),
                         "both dimension lists should have same length"),
    "cdist": (lambda t: t.cdist(t.zeros(2, 3), t.zeros(2, 4)),
              "X1 and X2 must have the same number of columns. X1: 3 X2: 4"),
    "cdist, axes": (lambda t: t.cdist(t.zeros(2, 3), t.zeros(2)),
                    "cdist only supports at least 2D tensors, X2 got: 1D"),
    "cdist, p": (lambda t: t.cdist(t.zeros(2, 3), t.zeros(2, 3), -1.0),
                 "cdist only supports non-negative p values"),
    "cross, size": (lambda t: t.cross(t.zeros(2, 2), t.zeros(2, 2)),
                    "no dimension of size 3 in input"),
    "einsum, subscripts": (lambda t: t.einsum("ij", t.zeros(2)),
                           r"the number of subscripts in the equation \(2\) does not match the "
                           r"number of dimensions \(1\) for operand 0 and no ellipsis was given"),
    "einsum, ellipsis": (lambda t: t.einsum("ijk...", t.zeros(2)), "is more than the number of"),
    "einsum, output": (lambda t: t.einsum("ij->il", t.zeros(2, 3)),
                       "output subscript l does not appear in the equation for any input operand"),
    "einsum, output twice": (lambda t: t.einsum("ij->ii", t.zeros(2, 3)),
                             "output subscript i appears more than once in the output"),
    "einsum, sizes": (lambda t: t.einsum("ij,jk", t.zeros(2, 3), t.zeros(4, 4)),
                      "subscript j has size 4 for operand 1 which does not broadcast with "
                      "previously seen size 3"),
    "einsum, ellipsis sizes": (lambda t: t.einsum("...i,...i", t.zeros(2, 3), t.zeros(4, 3)),
                               "which does not broadcast with previously seen"),
    "einsum, diagonal": (lambda t: t.einsum("ii", t.zeros(2, 3)),
                         "subscript i is repeated for operand 0 but the sizes don't match, 3 != 2"),
    "einsum, letters": (lambda t: t.einsum("i1,jk", t.zeros(2, 3), t.zeros(3, 4)),
                        "invalid subscript given at index 1 in the equation string"),
    "einsum, fewer": (lambda t: t.einsum("ij,jk", t.zeros(2, 3)), "fewer operands were provided"),
    "einsum, more": (lambda t: t.einsum("ij", t.zeros(2, 3), t.zeros(2)),
                     "more operands were provided"),
    "einsum, dots": (lambda t: t.einsum("..ij", t.zeros(2, 2, 3)),
                     "found '.' for operand 0 that is not part of any ellipsis"),
}  # fmt: skip
SINGULARITIES = ("inv", "inv of a batch", "solve", "cholesky", "cholesky of a batch")


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    wrong, message = ERRORS[name]
    kind = linalg.LinAlgError if name in SINGULARITIES else RuntimeError
    with pytest.raises(kind, match=message):
        wrong(T)


def test_errors_of_arguments():
    with pytest.raises(ValueError, match="must specify the equation string and at least one"):
        T.einsum("ij")
    with pytest.raises(ValueError, match=r"expected subscripts to be integers in \[0, 52\)"):
        T.einsum(T.zeros(2), [60])
    with pytest.raises(RuntimeError, match="outside of the arrow"):
        T.einsum("i-j", T.zeros(2, 2))
    with pytest.raises(RuntimeError, match="strictly positive integer for 'ind'"):
        linalg.tensorinv(T.eye(2), ind=0)
    with pytest.raises(RuntimeError, match="dim must be a 2-tuple"):
        linalg.matrix_norm(T.eye(2), dim=(0,))
    with pytest.raises(RuntimeError, match="same number of dimensions"):
        linalg.cross(T.zeros(2, 3), T.zeros(3))
    with pytest.raises(RuntimeError, match="N must be greater than 1"):
        linalg.vander(T.zeros(3), N=1)


@pytest.mark.peers
@pytest.mark.parametrize("name", ERRORS)
def test_pytorch_refuses_the_same(torch, name):
    wrong, _ = ERRORS[name]
    kind = torch.linalg.LinAlgError if name in SINGULARITIES else RuntimeError
    with pytest.raises(kind):
        wrong(torch)


@pytest.mark.peers
def test_least_squares_as_in_pytorch(torch):
    a, b = numbers(5, 2), numbers(5, 3)
    for driver in (None, "gels", "gelsd", "gelss", "gelsy"):
        ours = linalg.lstsq(a, b, driver=driver)
        theirs = torch.linalg.lstsq(torch.tensor(a.array), torch.tensor(b.array), driver=driver)
        for x, y in zip(ours, theirs, strict=True):
            if x is ours.rank and driver == "gels":
                continue  # PyTorch does not compute it there
            assert x.shape == tuple(y.shape)
            same(x, y.numpy())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["svd", "svdvals", "pinv", "matrix_rank", "cond"])
def test_singular_values_of_what_is_not_finite_are_refused(name, value):
    matrix = T.tensor([[value, 1.0], [1.0, 1.0]])
    with pytest.raises(linalg.LinAlgError, match="contained non-finite values"):
        getattr(linalg, name)(matrix)
