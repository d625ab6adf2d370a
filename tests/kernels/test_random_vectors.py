"""Vectors of random numbers: which word is where, on any threads, spread as they should be."""

import re

import numpy as np
import pytest

from tinygrad_opt.kernels import pool
from tinygrad_opt.kernels.compiler import cache, draws
from tinygrad_opt.kernels.fused import random_vectors
from tinygrad_opt.kernels.fused.random_vectors import KINDS, STREAM, TILE, VECTORS

KEY, PLACE = 0xFEDCBA9876543210, 2**33 + 5
UNIT = (0.0, 1.0, 1.0)
CASES = [
    ("uniform", "float32", (-1.5, 3.7, 2.1)),
    ("uniform", "float64", UNIT),
    ("normal", "float32", (0.5, 2.25)),
    ("normal", "float64", (0.0, 1.0)),
    ("exponential", "float32", (2.5, 0.01, 4.0)),
    ("exponential", "float64", (1.0, 0.0, 1e300)),
    ("chosen", "float32", (3 * 2**30, 0.0, 4.0)),
    ("integers", "int64", (-5, 11)),
    ("integers", "int64", (10**12, 2**32)),
    ("wide_integers", "int64", (-(2**63), 3 * 2**62 - 2**64)),
    ("wide_integers", "int64", (-(2**63), 0)),
    ("wide_integers", "int64", (7, 2**40 + 1)),
]


def drawn(kind, dtype, numbers, size, key=KEY, place=PLACE):
    y = np.empty(size, dtype)
    VECTORS[kind, y.dtype.char].draw(y, (key + 2**63) % 2**64 - 2**63, place, numbers)
    return y


def words(tiles, key, place):
    """The four words of each block, (4, tiles, 16)."""
    places = place + np.arange(tiles * TILE, dtype=np.uint64)
    counter = places & np.uint64(0xFFFFFFFF), places >> np.uint64(32), STREAM, 0
    found = draws.philox(counter, (key & 0xFFFFFFFF, key >> 32))
    return np.array(found, np.uint64).reshape(4, tiles, TILE)


def expected(kind, dtype, numbers, w):
    """What each block gives, in NumPy's functions and Python's integers."""
    if kind == "chosen":
        return np.where(w < numbers[0], numbers[1], numbers[2])
    if kind.endswith("integers"):
        low, count = numbers[0], numbers[1] % 2**64 or 2**64
        bits = [w] if kind == "wide_integers" else [w[:2], w[2:]]
        numbered = [sum(x.astype(object) << 32 * k for k, x in enumerate(b[::-1])) for b in bits]
        return np.array(
            [low + (x * count >> 32 * len(b)) for x, b in zip(numbered, bits, strict=True)]
        )
    open_ = kind == "exponential"
    if dtype == "float32":
        low = w >> np.uint64(8)
        u = (low * 2.0**-24) if not open_ else (w >> np.uint64(1)) * 2.0**-31 + 2.0**-32
        half = (w[::2] >> np.uint64(1)) * 2.0**-31 + 2.0**-32
        turn = u[1::2]
    else:
        whole = (w[::2] >> np.uint64(5)) * 2.0**26 + (w[1::2] >> np.uint64(6))
        u = whole * 2.0**-53 + 2.0**-54 * open_
        half, turn = u[:1] + 2.0**-54, u[1:]
    if kind == "uniform":
        return np.minimum(u * numbers[1] + numbers[0], numbers[2])
    if open_:
        return np.clip(-np.log(u) * numbers[0], *numbers[1:])
    radius, angle = np.sqrt(-2 * np.log(half)), 2 * np.pi * turn
    z = np.stack([radius * np.cos(angle), -radius * np.sin(angle)], axis=1)
    return z.reshape(-1, *w.shape[1:]) * numbers[1] + numbers[0]


@pytest.mark.parametrize(("kind", "dtype", "numbers"), CASES)
def test_each_number_is_made_of_the_words_of_its_place(kind, dtype, numbers):
    size = 3 * VECTORS[kind, np.dtype(dtype).char].tile + 13  # the last tile is cut
    found = drawn(kind, dtype, numbers, size)
    of_blocks = expected(kind, dtype, numbers, words(4, KEY, PLACE))
    wanted = of_blocks.transpose(1, 0, 2).reshape(-1)[:size]
    if dtype == "int64":
        assert found.tolist() == wanted.tolist()
        return
    eps = np.finfo(dtype).eps
    # NumPy's own cosine is of a rounded angle, and what is added may cancel.
    np.testing.assert_allclose(found, wanted, rtol=3 * eps, atol=8 * eps)


@pytest.mark.parametrize(("kind", "numbers"), [("uniform", UNIT), ("normal", (0.0, 1.0))])
def test_the_numbers_are_the_same_however_they_are_cut(kind, numbers):
    vectors, others = (random_vectors.Vectors(kind, "float32") for _ in range(2))
    size = 5 * random_vectors.LARGE + 77
    first = np.empty(size, np.float32)
    vectors.draw(first[:30_000], 7, 100, numbers)  # the form without parts
    tiles = 30_000 // vectors.tile
    assert 30_000 % vectors.tile  # the last tile was cut
    before = pool.size()
    try:
        for threads in (1, 2):
            pool.resize(threads)
            found = np.empty(size, np.float32)
            vectors.draw(found, 7, 100, numbers)
            np.testing.assert_array_equal(found[:30_000], first[:30_000])
            others.draw(found, 7, 100, numbers)
            others.draw(few := np.empty(30_000, np.float32), 7, 100, numbers)  # the form of many
            np.testing.assert_array_equal(few, first[:30_000])
            rest = np.empty(30_000, np.float32)
            vectors.draw(rest, 7, 100 + tiles * TILE, numbers)
            start = tiles * vectors.tile
            np.testing.assert_array_equal(found[start : start + 30_000], rest)
    finally:
        pool.resize(before)


def distance(sample, distribution):
    """Kolmogorov and Smirnov's, times the root of the number: above 1.95 once in a thousand."""
    x = np.sort(distribution(sample.astype(np.float64)))
    n = len(x)
    above = np.arange(1, n + 1) / n - x
    return max(above.max(), (1 / n - above).max()) * n**0.5


def normal_cdf(z):
    from tinygrad_opt.kernels.fused.special import erfc

    return erfc(-z / 2**0.5) / 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_drawn_is_spread_as_it_should_be(dtype):
    n = 1 << 16
    streams = [drawn("uniform", dtype, UNIT, n, *at) for at in ((1, 0), (2, 0), (1, n), (2**40, 0))]
    for u in streams:
        assert 0 <= u.min() < u.max() < 1
        assert distance(u, lambda u: u) < 1.95
    z = [drawn("normal", dtype, (0.0, 1.0), n, *at) for at in ((1, 0), (2, 0), (1, n), (2**40, 0))]
    for x in z:
        assert distance(x, normal_cdf) < 1.95
        assert abs((x.astype(float) ** 4).mean() - 3) < 4 * 96**0.5 / 256
    assert distance(drawn("exponential", dtype, (1.0, 0.0, 1e30), n, 1, 0),
                    lambda x: 1 - np.exp(-x)) < 1.95  # fmt: skip
    tile = VECTORS["uniform", np.dtype(dtype).char].tile
    shifted = [np.roll(streams[0], k) for k in (1, TILE, tile)]
    for first, *others in ((*streams, *shifted), (*z, *(np.roll(z[0], k) for k in (1, TILE)))):
        for other in others:  # seeds, places and neighbours do not know of each other
            assert abs(np.corrcoef(first, other)[0, 1]) < 4 / 256
    for first, other in ((z[0], z[1]), (z[0], np.roll(z[0], TILE))):  # nor do their sizes
        assert abs(np.corrcoef(first**2, other**2)[0, 1]) < 4 / 256


@pytest.mark.parametrize("count", [1, 7, 2**32, 2**32 + 1, 2**64 - 1])
def test_integers_reach_both_ends_evenly(count):
    kind = "integers" if count <= 2**32 else "wide_integers"
    signed = (count + 2**63) % 2**64 - 2**63
    low = -(2**63) if count > 2**63 else -3
    x = drawn(kind, "int64", (low, signed), 1 << 14)
    share = (x.astype(object) - low).astype(np.float64) / count
    assert 0 <= share.min() <= share.max() <= 1
    assert x.min() >= low
    if count > 7:
        assert distance(share, lambda x: x) < 1.95
    else:
        assert np.bincount(x + 3, minlength=count).min() > 0.9 * (1 << 14) / count
        assert len(np.unique(x)) == count


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("kind", ["normal", "exponential"])
def test_on_a_gpu_nothing_is_joined_that_the_cpu_rounds_twice(kind):
    """The one fused form left scales a word by a power of two, which is exact without it, too."""
    from numba import cuda

    from tinygrad_opt.kernels.compiler import cuda as adapter

    kernel = cache.compile_text(f"{kind}_cuda", random_vectors.text(kind, "float32", "cuda", False))
    letters = "qQ" + KINDS[kind].letters.replace("d", "f")
    types = (
        adapter._TYPES["f"][::1],
        adapter._TYPES["Q"][::1],
        *(adapter._TYPES[c] for c in letters),
    )
    ptx, _ = cuda.compile_ptx(kernel.py_func, types, cc=(9, 0))
    joined = re.findall(r"fma\.rn\.f32.*", ptx)
    assert len(joined) == {"normal": 2, "exponential": 4}[kind]
    assert all("0f30000000, 0f2F800000" in line for line in joined)  # 2^-31 and 2^-32
    assert ".f64" not in ptx
    assert "sqrt.rn.f32" in ptx or kind != "normal"
