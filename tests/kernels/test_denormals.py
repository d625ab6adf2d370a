"""The denormal policy: kernels on x86 count them as zero, and leave the processor as it was."""

import numba
import numpy as np
import pytest

from tinygrad_opt import kernels
from tinygrad_opt.kernels import threads
from tinygrad_opt.kernels.compiler import codegen, denormals
from tinygrad_opt.kernels.pool import split

pytestmark = pytest.mark.skipif(not denormals.X86, reason="only on x86 are denormals slow")

SIZE = 3 * codegen.CHUNK + 5  # several chunks, so that each thread has some
ADAM = (1.0, 0.0, 1.0, 0.1, 0.1, 0.999, 0.001, 1e-8, 1.0, 1.0)
DENORMAL = {"float32": 1e-40, "float64": 1e-310}

every_target = pytest.mark.parametrize("parallel", [False, True], ids=["serial", "parallel"])
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture
def _target(parallel, monkeypatch):
    monkeypatch.setattr(threads, "threshold", 1 if parallel else 10**9)


def filled(dtype, *values):
    return [np.full(SIZE, value, dtype) for value in values]


@numba.njit
def part_of_squares(first, last, x, y):
    for i in range(first, last):
        y[i] = x[i] * x[i]


@numba.njit
def squares(x):
    """Return x * x, computed by the threads that ran the kernel before."""
    y = np.empty_like(x)
    split(part_of_squares, x.size, 100, x, y)
    return y


@pytest.mark.usefixtures("_target")
@every_target
@every_dtype
def test_denormal_states_become_zero_at_once(dtype, parallel):
    p, g, m, v = filled(dtype, 1.0, 0.0, DENORMAL[dtype], DENORMAL[dtype])
    kernels.adam.launch((p, g, m, v), ADAM)
    assert not m.any()
    assert not v.any()
    assert (p == 1.0).all()


@pytest.mark.usefixtures("_target")
@every_target
@every_dtype
def test_denormal_gradients_and_squares_are_zero(dtype, parallel):
    small = np.sqrt(DENORMAL[dtype])  # a normal number whose square is denormal
    p, g, m, v = filled(dtype, 1.0, small, 0.0, 0.0)
    kernels.adam.launch((p, g, m, v), ADAM)
    assert (m == g.dtype.type(0.1) * g).all()
    assert not v.any()
    p, g = filled(dtype, 0.0, DENORMAL[dtype])
    kernels.sgd.launch((p, g), (1.0, 0.0, 1e10))
    assert not p.any()


@pytest.mark.usefixtures("_target")
@every_target
def test_a_long_run_without_gradients_stays_among_normal_numbers(parallel):
    p, g, m, v = filled("float32", 1.0, 0.0, 1e-3, 1e-6)
    p, g, m, v = p[:1], g[:1], m[:1], v[:1]
    least = np.finfo(np.float32).tiny
    coefficients = (1.0, 0.0, 1.0, 0.1, 0.1, 0.95, 0.05, 1e-8, 1.0, 1.0)
    for _ in range(3000):
        kernels.adam.launch((p, g, m, v), coefficients)
        assert all(x == 0.0 or abs(x) >= least for x in (p[0], m[0], v[0]))
    before = m[0], v[0]
    kernels.adam.launch((p, g, m, v), coefficients)
    assert (m[0], v[0]) == before  # at rest, where plain Python would still hold denormals


@pytest.mark.usefixtures("_target")
@every_target
def test_the_processor_is_left_as_it_was(parallel):
    x = np.full(SIZE, 1e-20, np.float32)  # its square is denormal
    expected = squares(x)
    assert expected.all()
    kernels.adam.launch(filled("float32", 1.0, 1e-40, 1e-40, 1e-40), ADAM)
    assert (squares(x) == expected).all()
    assert np.float32(1e-20) * np.float32(1e-20) > 0
    with pytest.raises(ValueError, match=r"sizes differ|one size"):
        kernels.sgd.launch((x, x[:2]), (1.0, 0.0, 1.0))
    assert np.float32(1e-20) * np.float32(1e-20) > 0


def test_an_infinite_step_raises_no_flag_for_numpy():
    p, g = filled("float32", 1.0, np.inf)
    with np.errstate(all="raise"):
        kernels.sgd.launch((p, g), (1.0, 0.0, 1e30))
        assert (np.ones(3) + 1.0).tolist() == [2.0] * 3


def test_other_processors_get_no_such_instruction(monkeypatch):
    monkeypatch.setattr(denormals, "X86", False)
    monkeypatch.setattr(denormals, "ENTER", "# Denormals stay: see denormals.py.")
    monkeypatch.setattr(denormals, "LEAVE", "# No mode to restore.")
    for target in ("serial", "parallel"):
        text = kernels.adam.source(target)
        assert "mxcsr" not in text
        compile(text, "kernel", "exec")
