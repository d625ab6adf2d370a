"""Arithmetic in kernels is IEEE's: powers, poles and overflow give values, and nothing raises."""

import math
import re

import numpy as np
import pytest
from numba import config

from tinygrad_opt.kernels import threads, update_rule
from tinygrad_opt.kernels.compiler import denormals

every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def numbers(dtype):
    """Ordinary numbers and all the ends of a type, denormals left out."""
    tiny, large = np.finfo(dtype).tiny, np.finfo(dtype).max
    ends = [0.0, -0.0, math.inf, -math.inf, math.nan, tiny, -tiny, large, -large]
    return np.array([1.0, -1.0, 2.5, -2.5, 0.3, 1e-20, 1e20, *ends], dtype)


def run(rule, g, coefficients=()):
    """What the kernel writes to the parameter and each state, for gradients g."""
    outputs = [np.zeros_like(g) for _ in range(1 + len(rule.states))]
    rule.launch((outputs[0], g.copy(), *outputs[1:]), coefficients)
    return outputs


@update_rule
def powers(p, g, a, b, c, d, e, f):
    return g**-1, g**2, g**3, g**-2, g**0, g**0.5, g**-0.5


@update_rule
def more_powers(p, g, a, b, c, d, e, f):
    return g**-3, g**8, g**9, g**-9, math.pow(g, -3), g**1.5, 2**g


@update_rule
def poles(p, g, a, b, c, d, e, f):
    return 1 / g, math.log(g), math.sqrt(g), math.exp(g), math.log1p(g), math.cosh(g), g / 0


EXPECTED = {
    "powers": (-1, 2, 3, -2, 0, np.sqrt, -0.5),
    "more_powers": (-3, 8, 9, -9, -3, 1.5, np.exp2),
    "poles": (-1, np.log, np.sqrt, np.exp, np.log1p, np.cosh, lambda x: x * np.float64(math.inf)),
}


@every_dtype
@pytest.mark.parametrize("rule", [powers, more_powers, poles], ids=list(EXPECTED))
def test_kernels_give_what_numpy_gives(rule, dtype):
    g = numbers(dtype)
    wide = g.astype(np.float64)
    tiny, digits = np.finfo(dtype).tiny, np.finfo(dtype).eps * 8
    with np.errstate(all="ignore"):
        for k, (ours, right) in enumerate(zip(run(rule, g), EXPECTED[rule.name], strict=True)):
            if rule is poles and k == 6:
                expected = g / np.zeros_like(g)
            else:
                expected = right(wide) if callable(right) else wide ** np.float64(right)
            close = {"rtol": digits, "atol": tiny, "err_msg": f"output {k}"}
            np.testing.assert_allclose(ours, expected.astype(dtype), **close)


def test_constant_powers_are_products_where_that_is_exact():
    lines = powers.source().splitlines()
    assert "        new_p = float32(1.0) / g" in lines
    assert "        new_a = g ** 2" in lines
    assert "        new_c = float32(1.0) / g ** 2" in lines
    assert "        new_d = float32(1.0)" in lines
    assert "        new_e = math.sqrt(g)" in lines


def test_plain_python_raises_where_a_kernel_has_infinity():
    @update_rule
    def inverse(p, g):
        return p - g**-1

    with pytest.raises(ZeroDivisionError):
        inverse(1.0, 0.0)
    p = np.ones(2)
    inverse.reference((p, np.array([0.0, 2.0])), ())  # NumPy's scalars, as the kernel
    assert p.tolist() == [-math.inf, 0.5]


@pytest.mark.skipif(not denormals.X86, reason="the mode is that of x86")
@pytest.mark.parametrize("parallel", [False, True])
def test_a_pole_leaves_the_processor_as_it_was(parallel, monkeypatch):
    monkeypatch.setattr(threads, "threshold", 1 if parallel else 10**9)
    run(poles, np.zeros(40, np.float32))
    run(powers, np.zeros(40, np.float32))
    assert np.float32(1e-20) * np.float32(1e-20) > 0


@update_rule
def everything(p, g, m, lr):
    x = abs(g) / lr - min(g, p) * max(g, lr)
    x = x + math.sqrt(g) + math.exp(g) + math.expm1(g) + math.log(g) + math.log1p(g)
    x = x + math.log2(g) + math.log10(g) + math.tanh(g) + math.sinh(g) + math.cosh(g)
    x = x + math.erf(g) + math.atan(g) + math.atan2(g, p) + math.fabs(g) + math.hypot(g, p)
    x = x + math.copysign(g, p) + math.pow(g, p) + g**p + g**-1 + g**-5 + g**-20 + g**0.5 + 2**g
    return p - x, m + 1 / x


@pytest.mark.skipif(bool(getattr(config, "BOUNDSCHECK", 0)), reason="a bounds check can raise")
@every_dtype
def test_no_kernel_can_raise_within_its_loop(dtype):
    # Each `raise` in a kernel refers to a pickled exception: the one is "sizes differ". (Python
    # 3.12 writes the branch of a chained comparison twice, so that its name stands there twice.)
    loop = next(f for f in everything.llvm(dtype).split("\ndefine ")[1:] if "@_ZN" in f[:200])
    assert len(set(re.findall(r"picklebuf\.\w+", loop))) == 1


@update_rule
def reads_bits(p, g, a, b, c, d, e):
    low = min(g, 1.0)
    return math.log(g), math.log2(-g), math.log10(low), g**-0.5, math.pow(g, g), g**1.5


@pytest.mark.skipif(not denormals.X86, reason="elsewhere denormals stay")
@every_dtype
def test_denormals_are_zero_for_functions_that_read_their_bits(dtype):
    g = np.array([np.finfo(dtype).tiny / 8, 0.0], dtype)
    for ours, right in zip(run(reads_bits, g), (*[-math.inf] * 3, math.inf, 1, 0), strict=True):
        assert ours.tolist() == [right, right]


def test_zeros_keep_their_sign_in_powers():
    @update_rule
    def rule(p, g, a):
        return math.pow(g, -11), g**-1

    for ours in run(rule, np.array([0.0, -0.0])):
        assert ours.tolist() == [math.inf, -math.inf]
