"""The kernels of one LSTM and one GRU step against the formulas."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.kernels.fused import recurrent

SPACE = Namespace(np)
SHAPES = {
    "lstm_step": (4, 4, 1), "lstm_step_back": (4, 1, 1, 1, 1),
    "gru_step": (3, 3, 1), "gru_step_back": (3, 3, 1, 1),
}  # fmt: skip
SIZES = [(5, 7), (1, 1), (0, 3), (3, 64)]


def arrays(name, n, hidden, dtype):
    rng = np.random.default_rng(0)
    made = [rng.standard_normal((n, k * hidden)).astype(dtype) for k in SHAPES[name]]
    if name.endswith("back"):
        made[0] = 1 / (1 + np.exp(-made[0]))  # gates lie in (0, 1)
    return made


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("n", "hidden"), SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 4e-15)])
def test_kernels_equal_the_formulas(name, n, hidden, dtype, tolerance):
    inputs = arrays(name, n, hidden, dtype)
    found = getattr(recurrent, f"fused_{name}")(SPACE, *inputs)
    expected = getattr(recurrent, name)(SPACE, *(x.astype("float64") for x in inputs))
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", SHAPES)
def test_other_arrays_go_to_the_formulas(name, monkeypatch):
    monkeypatch.setattr(recurrent, "_kernel", None)  # a kernel would fail
    inputs = arrays(name, 4, 3, "float64")
    strided = [np.asfortranarray(x) for x in inputs]
    half = [x.astype("float16") for x in inputs]
    expected = getattr(recurrent, name)(SPACE, *inputs)
    fused = getattr(recurrent, f"fused_{name}")
    for a, b, c in zip(fused(SPACE, *strided), fused(SPACE, *half), expected, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(b, c, rtol=0, atol=0.02)
        assert b.dtype == np.float16


def test_saturated_gates_do_not_overflow():
    z = np.array([[1e30, -1e30, 1e30, -1e30]], "float32")
    zero = np.zeros_like(z)
    gates, squashed, c, h = recurrent.fused_lstm_step(SPACE, z, zero, np.ones((1, 1), "float32"))
    assert gates.tolist() == [[1.0, 0.0, 1.0, 0.0]]
    assert (squashed.item(), c.item(), h.item()) == (np.tanh(np.float32(1)), 1.0, 0.0)


def test_nan_comes_through():
    z = np.full((1, 4), np.nan, "float32")
    one = np.ones((1, 1), "float32")
    for array in recurrent.fused_lstm_step(SPACE, z, np.zeros_like(z), one):
        assert np.isnan(array).all()
    z = np.full((1, 3), np.nan, "float32")
    for array in recurrent.fused_gru_step(SPACE, z, np.zeros_like(z), one):
        assert np.isnan(array).all()


@pytest.mark.parametrize("name", SHAPES)
def test_inputs_keep_their_values(name):
    inputs = arrays(name, 4, 3, "float32")
    before = [x.copy() for x in inputs]
    getattr(recurrent, f"fused_{name}")(SPACE, *inputs)
    for x, y in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, y)
