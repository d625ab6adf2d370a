"""LU factors: exchanges of rows, singular matrices, refusals."""

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import linalg

A = np.random.default_rng(0).standard_normal((2, 4, 4))


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 2, 4, 3), (1, 1)], ids=str)
def test_the_factors_give_the_matrix(shape):
    a = np.random.default_rng(0).standard_normal(shape)
    p, lower, upper = linalg.lu(tg.tensor(a))
    np.testing.assert_allclose(p @ lower @ upper, a, atol=1e-14)
    np.testing.assert_array_equal(p.sum(-1), 1)
    assert (lower.abs() <= 1 + 1e-12).all()  # the largest of a column is the pivot
    packed, pivots = linalg.lu_factor(tg.tensor(a))
    assert pivots.dtype == np.int32
    assert pivots.min() >= 1
    for x, y in zip(tg.lu_unpack(packed, pivots), (p, lower, upper), strict=True):
        np.testing.assert_array_equal(x, y)


def test_parts_of_unpacked_factors():
    factors = linalg.lu_factor(tg.tensor(A))
    assert tg.lu_unpack(*factors, unpack_pivots=False).P.numel() == 0
    assert tg.lu_unpack(*factors, unpack_data=False).L.numel() == 0
    assert "LU=" in repr(factors)


def test_singular_matrices():
    found = linalg.lu_factor_ex(tg.tensor([[1.0, 2.0], [2.0, 4.0]]))
    assert found.info.item() == 2
    assert linalg.lu_factor_ex(tg.tensor(A)).info.tolist() == [0, 0]
    with pytest.raises(linalg.LinAlgError, match=r"U\[1,1\] is zero and using it on lu_solve"):
        linalg.lu_factor_ex(tg.zeros(2, 2), check_errors=True)
    with pytest.raises(RuntimeError, match="without pivoting is not implemented on the CPU"):
        linalg.lu(tg.tensor(A), pivot=False)


@pytest.mark.peers
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 2, 4, 3)], ids=str)
def test_equals_pytorch(torch, shape):
    a = np.random.default_rng(0).standard_normal(shape)
    for name in ("lu", "lu_factor", "lu_factor_ex"):
        ours, theirs = (getattr(m.linalg, name)(m.tensor(a)) for m in (tg, torch))
        for x, y in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(x, y.numpy(), atol=1e-13)
