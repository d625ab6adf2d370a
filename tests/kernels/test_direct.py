"""The kernels' own front end: what it reads is what Python computes, all else is left to Numba."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_opt.kernels.compiler import cache, within
from tinygrad_opt.kernels.direct import njit
from tinygrad_opt.kernels.fused import (
    attention,
    elementwise,
    random_vectors,
    row_norms,
    rows,
    softmax,
)

MATRIX = np.arange(12.0).reshape(3, 4)


@pytest.fixture
def _read(monkeypatch):
    """Nothing is left to Numba."""
    monkeypatch.setattr(within, "_compiled", None)


def slices(x, y, n):
    for i in range(-2, n):
        part = x[i : n + 1]
        total = 0.0
        for j in range(part.shape[0]):
            total += part[j]
        y[i] = total + part.shape[0]


def branches(x, y, n):
    k = 0
    while k < n and x[k] >= 0:
        if x[k] > 2 or x[k] == 1:
            y[k] = -x[k]
        elif 0 < x[k] < 3:
            y[k] = x[k] if k > 0 else x[n]
        else:
            y[k] = max(x[k], 0.5) + min(k, 2)
        k += 1


@njit(error_model="numpy")
def both(a, b):
    if a > b:
        return b, a
    return a, b


def helpers(x, y, n):
    low, high = both(x[0], x[n])
    pair = both(high, low)
    y[0], y[-1] = pair[0], pair[1]


def steps(x, y, n):
    for i in range(n, 0, -2):
        y[i] = i
    for i in range(0, n, n - 2):
        y[i] += 10 * i


@pytest.mark.usefixtures("_read")
@pytest.mark.parametrize("function", [slices, branches, helpers, steps])
def test_it_computes_what_python_does(function):
    x, expected, found = np.arange(8.0), np.zeros(8), np.zeros(8)
    {"helpers": helpers_plain}.get(function.__name__, function)(x, expected, 5)
    njit("void(float64[::1], float64[::1], int64)", error_model="numpy")(function)(x, found, 5)
    np.testing.assert_array_equal(found, expected)


def helpers_plain(x, y, n):
    y[0], y[-1] = sorted((x[0], x[n]))


def of_a_view(x, y, n):
    a, b = x[n], x[1:, 2]
    for i in range(b.shape[0]):
        y[i] = b[i]
    y[4], y[5] = a[-1], x[1, n:][0]


@pytest.mark.usefixtures("_read")
@pytest.mark.parametrize("layout", ["[:, ::1]", "[:, :]"])
def test_views(layout):
    expected, found = np.zeros(8), np.zeros(8)
    of_a_view(MATRIX, expected, 2)
    njit(f"void(float64{layout}, float64[::1], int64)", error_model="numpy")(of_a_view)(
        MATRIX, found, 2
    )
    np.testing.assert_array_equal(found, expected)


def unknown(x, y, n):
    if n < 0:
        raise ValueError("below zero")
    y[:] = np.sort(x)


def known(x, y, n):
    if n < 0:
        raise ValueError("below zero")
    y[0] = x[n]


@pytest.mark.parametrize("function", [unknown, known])
def test_errors_are_reported_whoever_reads(function):
    kernel = njit("void(float64[::1], float64[::1], int64)", error_model="numpy")(function)
    with pytest.raises(ValueError, match="below zero"):
        kernel(np.ones(3), np.ones(3), -1)


def test_what_it_does_not_know_is_left_to_numba():
    y = np.zeros(3)
    njit("void(float64[::1], float64[::1], int64)")(unknown)(np.array([3.0, 1.0, 2.0]), y, 0)
    assert y.tolist() == [1.0, 2.0, 3.0]


def of_a_flag(x, y, flag):
    n = 0 if flag else 1
    y[:] = np.sort(x)
    y[n] = 7.0


@pytest.mark.parametrize("flag", [False, True])
def test_what_was_written_is_taken_back_behind_branches(flag):
    y = np.zeros(3)
    kernel = njit("void(float64[::1], float64[::1], boolean)")(of_a_flag)
    kernel(np.array([3.0, 1.0, 2.0]), y, flag)
    assert y.tolist() == ([7.0, 2.0, 3.0] if flag else [1.0, 7.0, 3.0])


TEXTS = {
    "gelu_slope": lambda: elementwise.loop("gelu", "slope", "float32").text("float32", True, False),
    "cross_entropy": lambda: softmax._loop("cross_entropy").text("float32", True, False),
    "normal": lambda: random_vectors.text("normal", "float32", "split", False),
    "uniform": lambda: random_vectors.text("uniform", "float64", "serial", False),
}


@pytest.mark.usefixtures("_read")
@pytest.mark.parametrize("name", TEXTS)
def test_kernels_are_read_to_their_end(name):
    form = {"normal": "normal_split", "uniform": "uniform_serial"}.get(name, f"{name}_split")
    assert cache.compile_text(form, TEXTS[name]()) is not None


@pytest.mark.usefixtures("_read")
@pytest.mark.parametrize("name", ["row_norm", "row_norm_back"])
def test_norms_are_read_to_their_end(name):
    fields = {"dtype": "float32", "vector": "float32[::1]", "matrix": "float32[:, ::1]"}
    text = (row_norms._HEAD + row_norms._TEXTS[name]).format(cache=False, block=4096, **fields)
    assert cache.compile_text(name, text) is not None


@pytest.mark.usefixtures("_read")
def test_rows_and_attention_are_read_to_their_end():
    assert cache.compile_text(
        "add_rows", rows._TEXT.format(cache=False, dtype="float32", often=128)
    )
    fields = {"dtype": "float32", "four": "float32[:, :, :, :]", "size": 4, "letter": "s"}
    if attention.blas.bind("product", "s"):
        for name, body in {
            "attention": attention._FORWARD, "attention_back": attention._BACKWARD
        }.items():  # fmt: skip
            text = (attention._HEAD + body).format(cache=False, **fields)
            assert cache.compile_text(name, text) is not None
