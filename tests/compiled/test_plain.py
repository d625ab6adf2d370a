"""`@plain` functions do what Python does, whether `lowering.py` knows their words or Numba does.

All of them are compiled in one piece, as those of a step are.
"""

import re

import interpreted
import numpy as np
import pytest

from tinygrad_opt.compiled.binding import Table
from tinygrad_opt.kernels.compiler import cache
from tinygrad_opt.kernels.plain import lowering

HEAD = """
import math

import numpy as np
from numba import njit, types
from numpy import float32 as f4, float64 as f8
from numpy import int64 as i8

from tinygrad_opt.kernels.functions import exp, log1p
from tinygrad_opt.kernels.functions.primitives import maximum as larger, minimum as smaller
from tinygrad_opt.kernels.plain import at, from_table, plain
from tinygrad_opt.kernels.pool import share

p_f4, p_i8 = map(types.CPointer, (types.float32, types.int64))


@plain(i8, i8, p_f4, p_f4)
def some(first, last, x, y):
    for j in range(first, last):
        y[j] = x[j] * x[j]
"""

# Each takes 12 numbers of float32, 12 whole ones, and writes 12 of float32.
BODIES = {
    "rows": """
    for i in range(3):
        r = at(x, i * 4)
        total = f4(0.0)
        for j in range(4):
            total += r[j]
        for j in range(1, 4):
            y[i * 4 + j] = r[j] / total
        y[i * 4] = total""",
    "choice": """
    for j in range(12):
        a = x[j]
        v = a if (a > f4(0.0)) | (a != a) else f4(0.0)
        y[j] = v if n[j] >= 2 and not math.isinf(a) else -v""",
    "either": """
    for j in range(12):
        big = n[j] > 3 or x[j] < f4(-0.5)
        y[j] = f4(big)""",
    "functions": """
    for j in range(12):
        y[j] = math.sqrt(abs(x[j])) + exp(x[j]) * log1p(abs(x[j])) - np.floor(x[j])""",
    "extremes": """
    low = f4(np.inf)
    high = f4(-np.inf)
    for j in range(3):
        low = smaller(low, x[j])
    for j in range(4, 7):
        high = larger(high, x[j])
    y[0] = low
    y[1] = high
    for j in range(2, 12):
        y[j] = larger(x[j], f4(0.5))""",
    # Rounds that read what others write.
    "neighbours": """
    y[0] = x[0]
    for j in range(1, 12):
        y[j] = y[j - 1] * f4(0.5) + x[j]""",
    "by_index": """
    for j in range(12):
        y[j] = f4(0.0)
    for j in range(12):
        y[n[j] & 7] += x[j]""",
    "wide": """
    total = f8(0.0)
    for j in range(12):
        total += x[j]
        y[j] = f4(total * f8(0.5))""",
    "whole": """
    for j in range(12):
        y[j] = f4(n[j] // i8(3) + n[j] % i8(4) - (n[j] ^ i8(5)) + ~n[j] + (-n[j] & i8(6)))""",
    "conditional": """
    for j in range(12):
        y[j] = f4(-1.0)
    if n[0] != 99:
        y[0] = f4(n[0])""",
    "infinite": """
    for j in range(12):
        y[j] = x[j] / f4(0.0) if j > 6 else f4(-np.inf)""",
    "in_parts": """
    share(some, 12, 5, 1000, x, y)""",
    "parameters": """
    for i in range(3):
        for j in range(4):
            y[i * 4 + j] = x[j] + n[0]
        x = at(x, 4)
        n = at(n, 1)""",
    "inner": """
    rows(x, n, y)
    y[0] += f4(1.0)""",
    # What is left to Numba: a loop of another kind, a variable of two types.
    "another_loop": """
    j = 0
    while j < 12:
        y[j] = x[j] * f4(2.0)
        j += 1""",
    "two_types": """
    v = f4(1.0)
    for j in range(12):
        v = x[j] + f8(v)
        y[j] = f4(v)""",
}
CALLS = "".join(f"    {name}(x, n, at(y, {i * 12}))\n" for i, name in enumerate(BODIES))
TEXT = (
    HEAD
    + "".join(f"\n\n@plain(p_f4, p_i8, p_f4)\ndef {k}(x, n, y):{v}\n" for k, v in BODIES.items())
    + f"""

@plain(p_f4, p_i8, p_f4, f4, returns=i8)
def step(x, n, y, c):
{CALLS}    if c != f4(0.25):
        return 3
    return 0


@plain(p_f4, p_f4, p_f4)
def powers(x, row, y):
    for i in range(10):
        for j in range(20):
            row[j] = exp(at(x, i * 20)[j])
        for j in range(20):
            at(y, i * 20)[j] = row[j]


@plain(i8, i8, p_f4, exact=True)
def precisely(first, last, x):
    for j in range(first, last):
        x[j] = x[j] * x[j] + x[j]


call, call_precisely = from_table(step), from_table(precisely, 2)
call_powers = from_table(powers)


@njit(types.int64(types.intp), error_model="numpy")
def enter(table):
    return call(table)


@njit(types.void(types.intp))
def enter_precisely(table):
    call_precisely(0, 12, table)


@njit(types.void(types.intp), error_model="numpy")
def enter_powers(table):
    call_powers(table)


made = step, enter, enter_precisely, enter_powers
"""
)


@pytest.fixture(scope="module")
def compiled():
    """The functions, and the names of those that were left to Numba."""
    left, original = [], lowering._call_by_numba

    def noted(context, builder, plain, values):
        left.append(plain.name)
        return original(context, builder, plain, values)

    lowering._call_by_numba = noted
    try:
        return cache.compile_text("made", TEXT)[1:], left
    finally:
        lowering._call_by_numba = original


def test_they_do_what_python_does(compiled):
    (enter, *_), left = compiled
    random = np.random.default_rng(0)
    x, n = random.standard_normal(12).astype("f4"), random.integers(-9, 9, 12)
    x[[3, 7]] = np.nan, np.inf
    y, expected = np.zeros((2, len(BODIES) * 12), np.float32)
    table = Table([(x, 0), (n, 0), (y, 0)], 1)
    table.put(0.25)
    assert enter(table.address) == 0
    table.put(0.5)
    assert enter(table.address) == 3
    with np.errstate(all="ignore"):
        interpreted.load("made", lambda _: TEXT)[0](
            x, n, interpreted.Pointer(expected, 0), np.float32(0.25)
        )
    for i, name in enumerate(BODIES):
        mine, other = y[i * 12 : i * 12 + 12], expected[i * 12 : i * 12 + 12]
        np.testing.assert_allclose(mine, other, rtol=2e-6, err_msg=name)
    assert sorted(set(left)) == ["another_loop", "two_types"]


def test_exact_functions_take_no_liberties(compiled):
    (enter, precisely, _), _ = compiled
    assert "reassoc" in "".join(enter.inspect_llvm().values())
    text = "".join(precisely.inspect_llvm().values())
    assert "fmul" in text
    assert "reassoc" not in text
    assert "contract" not in text


def test_short_rows_are_simd_code(compiled):
    """A loop of 20 rounds is not unrolled to 20 numbers, nor kept from SIMD by what may overlap."""
    (*_, powers), _ = compiled
    text = "".join(powers.inspect_llvm().values())
    assert re.search(r"fmul[a-z ]* <\d+ x float>", text)
