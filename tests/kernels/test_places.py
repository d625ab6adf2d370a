"""Kernels that take places from outside look at them before they touch memory.

`make test-bounds` runs these and other suites with Numba's own checks of every index.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from tinygrad_opt.arrays.windows import Spans, _fits
from tinygrad_opt.kernels import sgd
from tinygrad_opt.kernels.fused import pooling, recurrent, reduce, rows, softmax

LEAST, MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
X = np.arange(6.0).reshape(1, 1, 6)

WRONG_KERNEL = """
import numpy as np
from tinygrad_opt.kernels.compiler import cache

TEXT = '''
from tinygrad_opt.kernels.direct import njit

@njit(nogil=True)
def helper(x, k):
    return x[k]

@njit("float64(float64[::1], int64)", cache={cache})
def wrong(x, k):
    return helper(x, k)
'''
wrong = cache.load("wrong", lambda on_disk: TEXT.format(cache=on_disk))
x = np.zeros(8)[:4]  # so that there is memory after it
try:
    print(wrong(x, 4))
except IndexError as error:
    print(error)
"""


@pytest.mark.thorough
@pytest.mark.versions
def test_bounds_checks_bite_and_have_machine_code_of_their_own(tmp_path):
    said = []
    for checks in ("0", "1", "0", "1"):
        said.append(
            subprocess.run(
                [sys.executable, "-W", "error", "-c", WRONG_KERNEL],
                capture_output=True,
                text=True,
                check=True,
                env={
                    **os.environ,
                    "NUMBA_BOUNDSCHECK": checks,
                    "TINYGRAD_OPT_CACHE_DIR": str(tmp_path / "kernels"),
                },
            ).stdout.strip()
        )
    assert said == ["0.0", "index is out of bounds"] * 2


# Pooling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [6, -2, 2**31, 2**40, LEAST, MOST])
@pytest.mark.parametrize("position", [0, 2])
def test_places_of_cells(bad, position):
    place = np.zeros((1, 1, 3), np.int64)
    place[0, 0, position] = bad
    message = "places in an image of 6 cells must lie between 0 and 5, got .*; were the indices"
    with pytest.raises(IndexError, match=message):
        pooling.pick(X, place)
    with pytest.raises(IndexError, match=message):
        pooling.spread(np.ones((1, 1, 3)), place, (6,))


def test_no_cell():
    place = np.array([[[-1, 2, -1]]])
    assert pooling.pick(X, place, -np.inf).tolist() == [[[-np.inf, 2.0, -np.inf]]]
    assert pooling.pick(X, place).tolist() == [[[0.0, 2.0, 0.0]]]
    assert pooling.spread(np.ones((1, 1, 3)), place, (6,)).tolist() == [[[0, 0, 1, 0, 0, 0]]]


@pytest.mark.parametrize(
    ("start", "stop"), [(-1, 2), (0, 7), (LEAST, 2), (0, MOST), (5, 7), (-3, -1)]
)
def test_windows_outside_the_image(start, stop):
    for axis in range(2):
        spans = [Spans(np.array([0]), np.array([1]), 1) for _ in range(2)]
        spans[axis] = Spans(np.array([0, start]), np.array([1, stop]), 1)
        with pytest.raises(IndexError, match=r"a window begins or ends outside the image of \(6, "):
            pooling.window_argmax(np.zeros((1, 1, 6, 6)), tuple(spans))


def test_windows_without_a_cell():
    spans = (Spans(np.array([6, 0, 3]), np.array([6, 6, 2]), 2),)
    assert pooling.window_argmax(X, spans).tolist() == [[[-1, 4, -1]]]


# Rows and classes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [3, -4, 2**31, LEAST, MOST])
def test_rows(bad):
    table = np.zeros((3, 2))
    index, added = np.array([0, bad]), np.ones((2, 2))
    assert rows.fits(table, index, added)
    with pytest.raises(IndexError, match="index out of range: rows 0 to 2, got"):
        rows.add(table, index, added)
    assert not table.any()


@pytest.mark.parametrize("bad", [3, -1, 2**31, LEAST, MOST])
def test_classes(bad):
    _, _, row = softmax.cross_entropy(np.zeros((2, 3)), np.array([2, bad]))
    assert row == 1


def test_other_byte_orders_and_sizes_go_another_way():
    table, index, added = np.zeros((3, 2)), np.array([0, 1]), np.ones((2, 2))
    assert rows.fits(table, index, added)
    assert not rows.fits(table, index.astype(">i8"), added)
    assert not rows.fits(table.astype(">f8"), index, added.astype(">f8"))
    assert not rows.fits(table, index, np.ones((3, 2)))
    z = np.zeros((2, 3))
    assert softmax.fits_loss(z, index)
    assert not softmax.fits_loss(z, index[:1])
    assert not softmax.fits_loss(z, index.astype(">i8"))
    assert not softmax.fits_loss(z.astype(">f8"), index)
    assert _fits(z, z)
    assert not _fits(z.astype(">f8"), z.astype(">f8"))


# Recurrent steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", range(3))
def test_steps_of_other_shapes_do_not_reach_a_kernel(wrong, monkeypatch):
    monkeypatch.setattr(recurrent, "_kernel", lambda *_: pytest.fail("a kernel was asked for"))
    for gates, step in ((4, recurrent.fused_lstm_step), (3, recurrent.fused_gru_step)):
        arrays = [np.zeros((2, gates * 3)), np.zeros((2, gates * 3)), np.zeros((2, 3))]
        arrays[wrong] = np.zeros((5, arrays[wrong].shape[1]))
        with pytest.raises((ValueError, AttributeError)):  # NumPy cannot broadcast them
            step(np, *arrays)


# Launches and reductions --------------------------------------------------------------------------


def unaligned(n):
    return np.frombuffer(bytearray(4 * n + 1), np.float32, offset=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x[::-1], "must be contiguous, got stride -4 bytes"),
        (lambda x: np.broadcast_to(x[:1], x.shape), "must be contiguous, got stride 0 bytes"),
        (lambda x: x.astype(">f4"), "must be float32 or float64, got >f4"),
        (lambda x: unaligned(len(x)), "is not aligned in memory; pass a copy of it"),
        (lambda x: x[:-1], "arrays must have one size"),
        (lambda x: x[:0], "arrays must have one size"),
        (lambda x: x.reshape(2, 2), "must have one dimension"),
        (lambda x: x.astype(np.float16), "must be float32 or float64, got float16"),
        (lambda x: x.astype(object), "must be float32 or float64, got object"),
    ],
)
@pytest.mark.parametrize("position", [0, 1])
def test_launches_refuse_what_is_no_plain_vector(make, message, position):
    arrays = [np.ones(4, np.float32), np.ones(4, np.float32)]
    arrays[position] = make(arrays[position])
    before = [a.copy() for a in arrays]
    with pytest.raises((TypeError, ValueError), match=message):
        sgd.launch(arrays, (1.0, 0.0, 0.1))
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (10**400, "coefficient lr is too large for float64"),
        (1j, "coefficient lr must be a number, got 1j"),
        (np.complex64(1), "coefficient lr must be a number"),
        (np.array([0.1]), "coefficient lr must be a number"),
    ],
)
def test_launches_refuse_what_is_no_coefficient(rate, message):
    p = np.ones(4, np.float32)
    with pytest.raises(TypeError, match=message):
        sgd.launch((p, np.ones(4, np.float32)), (1.0, 0.0, rate))
    assert p.tolist() == [1.0] * 4


def test_reductions_read_what_may_only_be_read():
    x = np.array([3.0, -4.0], np.float32)
    x.flags.writeable = False
    assert reduce.norm(x) == 5.0
    assert reduce.norm(x, np.inf) == 4.0
    assert reduce.dot(x, x) == 25.0
    assert reduce.all_finite(x)
    assert reduce.norm(unaligned(3)) == 0.0
    with pytest.raises(TypeError, match="x must be contiguous, got stride -4 bytes"):
        reduce.norm(x[::-1])
