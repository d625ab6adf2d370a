"""Parts of vectors: coefficients and sums for each, the same bits as for each by itself."""

import itertools

import numpy as np
import pytest
from rules import arrays, coefficients, copies

from tinygrad_opt.kernels import adam, dot, lars, norm, step_along, threads, update_rule
from tinygrad_opt.kernels.fused import reduce

OFFSETS = [0, 3, 3, 130, 20_000, 20_001, 90_000]
PARTS = len(OFFSETS) - 1
every_dtype = pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("float64", marks=pytest.mark.thorough)]
)


@update_rule
def assigning(p, g, lr, wd):
    if g > 0.0:
        lr = lr * wd
    return p - lr * g


def various(rule):
    """Coefficients of which every second one differs from part to part."""
    each = np.linspace(0.5, 1.5, PARTS)
    return [c * each if i % 2 else c for i, c in enumerate(coefficients(rule))]


@every_dtype
@pytest.mark.parametrize("rule", [adam, lars, step_along, assigning], ids=lambda r: r.name)
@pytest.mark.parametrize("threshold", [1, 10**9])
def test_the_bits_of_a_launch_for_each_part(rule, dtype, threshold, monkeypatch):
    monkeypatch.setattr(threads, "threshold", threshold)
    ours = arrays(rule, dtype, OFFSETS[-1])
    expected, given = copies(ours), various(rule)
    rule.launch_parts(ours, OFFSETS, given)
    for k, (a, b) in enumerate(itertools.pairwise(OFFSETS)):
        own = [float(c[k]) if np.ndim(c) else c for c in given]
        rule.launch([array[a:b] for array in expected], own)
    for x, y in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("offsets", [[0, 5], [1, 9], [0, 9, 7, 9], [0, 10], [9, 9]])
def test_offsets_that_do_not_fit(offsets):
    p, g = np.ones((2, 9), np.float32)
    with pytest.raises(ValueError, match="step_along: offsets must rise from 0 to the arrays' si"):
        step_along.launch_parts((p, g), offsets, (1.0, 0.5))
    assert (p == 1).all()


def test_as_many_coefficients_as_parts():
    p, g = np.ones((2, 9), np.float32)
    with pytest.raises(ValueError, match="a coefficient be a number or 2 of them"):
        step_along.launch_parts((p, g), [0, 4, 9], (1.0, [0.5] * 3))


def test_faults_are_named_as_by_launch():
    p, g = np.ones((2, 9), np.float32)
    with pytest.raises(ValueError, match="expected 2 coefficients"):
        step_along.launch_parts((p, g), [0, 9], (1.0,))
    with pytest.raises(TypeError, match="g is float64"):
        step_along.launch_parts((p, g.astype(np.float64)), [0, 9], (1.0, 0.5))
    with pytest.raises(TypeError, match="must be float32 or float64, got >f4"):
        step_along.launch_parts([x.astype(">f4") for x in (p, g)], [0, 9], (1.0, 0.5))


def test_no_parts_and_empty_ones():
    empty = np.ones(0, np.float32)
    step_along.launch_parts((empty, empty), [0], (1.0, 0.5))
    step_along.launch_parts((empty, empty), [0, 0, 0], (1.0, [0.5, 0.25]))


# Sums ---------------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("count", [1, 2])
def test_sums_of_parts_are_those_of_each_by_itself(dtype, count):
    x, y = (np.random.default_rng(k).standard_normal(100_000).astype(dtype) for k in range(2))
    x[::7] = 0
    parts, before = [(x[a:b], y[a:b]) for a, b in itertools.pairwise(OFFSETS)], None
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(count)
        assert reduce.norms(x, OFFSETS).tolist() == [norm(a) for a, _ in parts]
        assert reduce.magnitudes(x, OFFSETS).tolist() == [norm(a, 1) for a, _ in parts]
        assert reduce.dots(x, y, OFFSETS).tolist() == [dot(a, b) for a, b in parts]
        assert reduce.nonzeros(x, OFFSETS).tolist() == [np.count_nonzero(a) for a, _ in parts]
    finally:
        threads.set_num_threads(before)


def test_sums_read_what_may_only_be_read():
    x = np.arange(9, dtype=np.float32)
    x.flags.writeable = False
    assert reduce.norms(x, [0, 4, 9]).tolist() == [norm(x[:4]), norm(x[4:])]


@pytest.mark.parametrize("offsets", [[0, 10], [-1, 4], [0, 5, 4]])
def test_parts_outside_of_the_vector(offsets):
    with pytest.raises(ValueError, match="the parts are not those of the vector"):
        reduce.norms(np.ones(9), offsets)


def test_vectors_that_differ():
    with pytest.raises(ValueError, match="products: x and z must be of one size and dtype, got 9"):
        reduce.dots(np.ones(9), np.ones(8), [0, 8])
    with pytest.raises(TypeError, match="squares: x must be float32 or float64, got int64"):
        reduce.norms(np.ones(9, np.int64), [0, 8])
