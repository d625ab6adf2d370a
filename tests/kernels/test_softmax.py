"""The fused cross-entropy of small batches against float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_opt.kernels.fused import softmax


def formula(z, index):
    z = z.astype(np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(z)), index]), p - np.eye(z.shape[1])[index]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_loss_and_slope(dtype, tolerance):
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((7, 5)) * 4).astype(dtype)
    index = rng.integers(5, size=7)
    assert softmax.fits(z, index)
    loss, slope, bad = softmax.cross_entropy(z, index)
    expected_loss, expected_slope = formula(z, index)
    assert bad == -1
    assert loss.dtype == slope.dtype == dtype
    np.testing.assert_allclose(loss, expected_loss, rtol=4 * tolerance, atol=tolerance)
    np.testing.assert_allclose(slope, expected_slope, atol=tolerance)


def test_large_scores_do_not_overflow_and_minus_infinity_is_no_chance():
    z = np.array([[1e30, 0.0], [-np.inf, 3.0]], np.float32)
    loss, slope, _ = softmax.cross_entropy(z, np.array([0, 1]))
    assert loss.tolist() == [0.0, 0.0]
    assert slope.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_nan_comes_through():
    z = np.array([[1.0, np.nan], [0.0, 0.0]], np.float32)
    loss, _, _ = softmax.cross_entropy(z, np.array([0, 1]))
    assert np.isnan(loss[0])
    assert loss[1] == np.float32(np.log(2))


@pytest.mark.parametrize("wrong", [-1, 3, -100])
def test_the_first_class_out_of_bounds_is_named(wrong):
    _, _, bad = softmax.cross_entropy(np.zeros((3, 3), np.float32), np.array([0, wrong, wrong]))
    assert bad == 1


def test_what_fits():
    z, index = np.zeros((4, 3), np.float32), np.zeros(4, np.int64)
    assert softmax.fits(z, index)
    assert not softmax.fits(z.T, index[:3])
    assert not softmax.fits(z.astype(np.float16), index)
    assert not softmax.fits(z, index.astype(np.int32))
    assert not softmax.fits(np.zeros((2, softmax.LARGEST), np.float32), index[:2])
    assert not softmax.fits(np.zeros((4, 0), np.float32), index)
    z.flags.writeable = False
    assert not softmax.fits(z, index)
