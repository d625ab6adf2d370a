"""The kernels' own front end: what it reads is what Python computes, all else is left to Numba."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import types

import numpy as np
import pytest

from tinygrad_opt.kernels import blas, product_texts
from tinygrad_opt.kernels.compiler import cache, within
from tinygrad_opt.kernels.direct import njit
from tinygrad_opt.kernels.fused import (
    attention_texts,
    ctc,
    elementwise,
    random_vectors,
    row_norms,
    rows,
    softmax,
)
from tinygrad_opt.kernels.micro import scratch
from tinygrad_opt.kernels.pool import share

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
    y[:] = np.cumsum(x)


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
    assert y.tolist() == [3.0, 4.0, 6.0]


def of_a_flag(x, y, flag):
    n = 0 if flag else 1
    y[:] = np.cumsum(x)
    y[n] = 7.0


@pytest.mark.parametrize("flag", [False, True])
def test_what_was_written_is_taken_back_behind_branches(flag):
    y = np.zeros(3)
    kernel = njit("void(float64[::1], float64[::1], boolean)")(of_a_flag)
    kernel(np.array([3.0, 1.0, 2.0]), y, flag)
    assert y.tolist() == ([7.0, 4.0, 6.0] if flag else [3.0, 7.0, 6.0])


i, k = 7, 9  # names of other variables below


def a_loops_variable_after_it(x, y, n):
    for i in range(n):
        y[i] = x[i]
    y[7] = i


def a_loop_in_a_loop_of_its_name(x, y, n):
    for k in range(n):
        for k in range(2):
            y[k] += 1
        y[k + 3] += k


def what_or_returns(x, y, n):
    y[0] = n or 7
    y[1] = (n - 5) or 7
    y[2] = n and 2
    y[3] = n > 3 and x[2] < 5


@njit(error_model="numpy")
def noted(y):
    y[5] = 1.0
    return 3


def what_is_not_asked_for(x, y, n):
    if 0 > n > noted(y):
        y[0] = 1.0


def large_numbers(x, y, n):
    y[0] = (np.uint64(n) ^ 0x9E3779B97F4A7C15) >> np.uint64(40)


@njit(error_model="numpy")
def ones(n):
    made = np.empty(n)
    for j in range(n):
        made[j] = 1.0
    return made


def memory_that_is_returned(x, y, n):
    first = ones(n)
    second = ones(n)
    for j in range(n):
        second[j] = -1.0
    for j in range(n):
        y[j] = first[j]


@njit(error_model="numpy")
def factorial(n):
    if n < 2:
        return 1
    return n * factorial(n - 1)


@njit(error_model="numpy")
def added(a, b=2.0):
    return a + b


def rarely_written(x, y, n):
    y[0], y[1], y[2] = factorial(n), added(x[1]), len((n, n, n))
    n <<= 2
    y[3] = n
    y[4] = np.int64(2.75) + np.int32(-1.5)


PYTHON = {"ones": np.ones, "added": lambda a: a + 2.0, "factorial": lambda n: 120,
          "noted": lambda y: 3}  # fmt: skip


@pytest.mark.parametrize(
    "function",
    [
        a_loops_variable_after_it, a_loop_in_a_loop_of_its_name, what_or_returns,
        what_is_not_asked_for, large_numbers, memory_that_is_returned, rarely_written,
    ],
)  # fmt: skip
def test_what_is_hard_to_read_is_python_too(function):
    x, expected, found = np.arange(8.0), np.zeros(8), np.zeros(8)
    plain = types.FunctionType(function.__code__, globals() | PYTHON)
    plain(x, expected, 5)
    njit("void(float64[::1], float64[::1], int64)", error_model="numpy")(function)(x, found, 5)
    np.testing.assert_array_equal(found, expected)


@njit(error_model="numpy")
def refused(n):
    if n < 0:
        raise ValueError("below zero")
    return 1.0


def refused_with_memory(x, y, n):
    made = np.empty(3)
    made[0] = refused(n)
    y[0] = made[0]


def test_an_error_leaves_no_memory_taken():
    kernel = njit("void(float64[::1], float64[::1], int64)")(refused_with_memory)
    with pytest.raises(ValueError, match="below zero"):
        kernel(np.ones(3), np.ones(3), -1)
    assert not scratch.words[:, scratch.TAKEN].any()


WITHOUT_MEMORY = """
import numpy as np
from tinygrad_opt.kernels.compiler import within
from tinygrad_opt.kernels.direct import njit

within._compiled = None  # nothing is left to Numba


def kernel(y, n):
    made = np.empty(n)
    made[0] = 1.0
    y[0] = made[0]


kernel = njit("void(float64[::1], int64)", error_model="numpy")(kernel)
y = np.zeros(1)
kernel(y, 8)
print(y[0], flush=True)
kernel(y, 2**59)
"""


def test_where_there_is_no_memory_the_process_says_so(tmp_path):
    file = tmp_path / "kernel.py"
    file.write_text(WITHOUT_MEMORY)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True)
    assert done.stdout == "1.0\n"
    assert "tinygrad_opt: no memory for a kernel to work in: " in done.stderr
    if os.name == "posix":
        assert done.returncode == -signal.SIGABRT


def of_one_name(x, y, n):
    y[0] = 1.0


first_of_the_name = of_one_name


def of_one_name(x, y, n):
    y[0] = 2.0


@pytest.mark.parametrize(("function", "expected"), [(first_of_the_name, 1.0), (of_one_name, 2.0)])
def test_functions_of_one_name_are_told_apart(function, expected):
    y = np.zeros(1)
    njit("void(float64[::1], float64[::1], int64)")(function)(y, y, 0)
    assert y[0] == expected


def divided(first, last, x, y):
    for j in range(first, last):
        y[j] = x[0] // x[j]


def divided_on_threads(x, y, n):
    y[0] = x[0] // x[1]
    share(divided, x.shape[0], 4, 100_000, x, y)


divided = njit(error_model="numpy")(divided)


def test_parts_divide_as_numpy_does_whatever_the_kernel_does():
    x, y = np.array([1, 2, 0, 4]), np.zeros(4, np.int64)
    kernel = njit("void(int64[::1], int64[::1], int64)", error_model="python")(divided_on_threads)
    kernel(x, y, 0)
    assert y.tolist() == [1, 0, 0, 0]
    with pytest.raises(ZeroDivisionError):
        kernel(np.zeros(4, np.int64), y, 0)


TEXTS = {
    "gelu_slope": lambda: elementwise.loop("gelu", "slope", "float32").text("float32", True, False),
    "cross_entropy": lambda: softmax._loop("cross_entropy").text("float32", True, False),
    "short_softmax": lambda: softmax._loop("softmax", "short").text("float32", True, False),
    "odd_softmax": lambda: softmax._loop("softmax", "odd").text("float32", True, False),
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
@pytest.mark.parametrize("name", ctc._TEXTS)
def test_ctc_is_read_to_its_end(name):
    fields = {"dtype": "float32", "vector": "float32[::1]", "matrix": "float32[:, ::1]"}
    text = ctc._TEXTS[name].format(cache=False, check=ctc._CHECK, **fields)
    assert cache.compile_text(name, text) is not None


@pytest.mark.usefixtures("_read")
def test_rows_and_attention_are_read_to_their_end():
    assert cache.compile_text(
        "add_rows", rows._TEXT.format(cache=False, dtype="float32", often=128)
    )
    fields = {"dtype": "float32", "four": "float32[:, :, :, :]", "size": 4, "letter": "s"}
    if blas.bind("product", "s"):
        for (name, text), short in itertools.product(attention_texts.TEXTS.items(), (True, False)):
            ends = "mask_ends()" if short else ""
            text = text.format(cache=False, short=short, ends=ends, **fields)
            assert cache.compile_text(name, text) is not None


@pytest.mark.usefixtures("_read")
@pytest.mark.parametrize("letter", ["s", "d"])
def test_products_are_read_to_their_end(letter):
    if not all(blas.bind(shape, letter) for shape in product_texts.SHAPES):  # which kernels call
        pytest.skip("NumPy brought no OpenBLAS")
    arrays = {f"product_of_{kind}": text for kind, text in product_texts.ARRAYS.items()}
    for name, text in {**product_texts.SHAPES, **arrays}.items():
        filled = text.format(**blas._fields(letter), cache=False)
        assert cache.compile_text(name, filled) is not None
