"""`@update_rule` itself: what it accepts, what it refuses and how it says so."""

import copy
import importlib.util
import math
import os
import pickle
import subprocess
import sys
import textwrap
import types
from math import sqrt

import numpy as np
import pytest

from tinygrad_opt.kernels import RuleError, adam, sgd, update_rule

BETA = 0.9


def assert_equals_reference(rule, coefficients, *, dtype="float32", exact=True):
    random = np.random.default_rng(0)
    ours = [random.standard_normal(101).astype(dtype) for _ in range(2 + len(rule.states))]
    oracle = [a.copy() for a in ours]
    rule.launch(ours, coefficients)
    rule.reference(oracle, coefficients)
    for a, b in zip(ours, oracle, strict=True):
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-6 if dtype == "float32" else 1e-14)


# What works


def test_attributes():
    assert adam.name == "adam"
    assert adam.states == ("m", "v")
    assert sgd.states == ()
    assert sgd.coefficients == ("sign", "wd", "lr")
    assert repr(sgd) == "<update rule sgd(p, g, sign, wd, lr) -> p>"
    assert "(sqrt(v) * c2 + eps)" in adam.__doc__


def test_rules_are_copied_and_pickled_as_functions_are():
    assert copy.deepcopy({"rule": adam})["rule"] is adam
    assert pickle.loads(pickle.dumps(sgd)) is sgd


def test_calling_a_rule_runs_plain_python():
    assert sgd(1.0, 2.0, 1.0, 0.0, 0.25) == 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lion_with_branches_literals_and_constants(dtype):
    rate = 0.25

    @update_rule
    def lion(p, g, m, lr):
        c = BETA * m + (1 - BETA) * g
        if c > 0:
            step = 1
        elif c < 0.0:
            step = -1.0
        else:
            step = 0
        p -= lr * step * rate / 3
        m = m + 0.01 * (g - m)
        return p, m

    assert_equals_reference(lion, (0.1,), dtype=dtype)
    assert f"{dtype}(0.9) * m" in lion.source(dtype=dtype)
    assert f"{dtype}(0.09999999999999998) * g" in lion.source(dtype=dtype)  # 1 - BETA in double
    assert "double" not in lion.llvm("float32").split("\ndefine ")[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_function_keeps_the_dtype(dtype):
    @update_rule
    def functions(p, g, lr):
        x = abs(g) + 0.5
        y: float = min(sqrt(x), math.exp(g)) + max(math.tanh(g), np.log(x))
        y = y + math.copysign(math.pow(x, lr), g) + math.erf(g) + math.atan2(x, p)
        y = y + np.expm1(g) + math.log1p(x) + math.log2(x) + math.log10(x) + math.hypot(x, g)
        y = y + math.sinh(g) * math.cosh(g) + np.arctan(g) + math.fabs(g)
        pass
        return p - lr * (y + x**2 + x**0.5 + x**-1 + x**lr + x**3.0)

    assert_equals_reference(functions, (0.1,), dtype=dtype, exact=False)
    loop = functions.llvm("float32").split("\ndefine ")[1]
    assert "fpext" not in loop


def test_returned_expressions_see_the_values_before_the_step():
    @update_rule
    def exchange(p, g, m):
        return m + 0.0 * g, p + 0.0

    p, g, m = (np.full(3, x, np.float64) for x in (1, 2, 3))
    exchange.launch((p, g, m), ())
    assert p.tolist() == [3, 3, 3]
    assert m.tolist() == [1, 1, 1]


def test_names_that_the_kernel_uses_itself():
    @update_rule
    def awkward(p, g, i, range, p_array, float32, size, math, new_p, max):
        step = p_array * g + float32
        i = i + math
        range = range + size * step
        return p - step * np.abs(max), i, range + new_p

    assert awkward.states == ("i", "range")
    for target in ("cpu", "parallel", "cuda"):
        compile(awkward.source(target), target, "exec")
    assert_equals_reference(awkward, (0.5, 0.25, 0.125, 2.0, 3.0, 4.0))


def test_conditions():
    @update_rule
    def conditions(p, g, lr):
        inside = -1.0 < g <= 1.0 and not p <= 0.0
        outside = inside if g > p else (g < -2.0 or g > 2.0)
        return p - (lr if outside else 0.0)

    assert_equals_reference(conditions, (0.1,))


def test_infinite_constants():
    @update_rule
    def clamp(p, g, lr):
        top = math.inf
        bottom = -math.inf
        return min(max(p - lr * g, bottom), top)

    assert_equals_reference(clamp, (0.1,))
    assert "float32(-math.inf)" in clamp.source()


def test_constants_are_those_of_decoration_time():
    rate = 0.5

    @update_rule
    def rule(p, g):
        return p - rate * g

    rate = 100.0
    p = np.zeros(1, np.float32)
    rule.launch((p, np.ones(1, np.float32)), ())
    assert p[0] == -0.5


def test_attributes_are_those_of_decoration_time():
    settings = types.SimpleNamespace(rate=0.5)

    def scaled(x):
        return settings.rate * x

    @update_rule
    def rule(p, g):
        return p - settings.rate * g - scaled(g)

    settings.rate = 100.0
    p = np.zeros(1, np.float32)
    rule.launch((p, np.ones(1, np.float32)), ())
    assert p[0] == rule(0.0, 1.0) == -1.0


RULE = """
    from tinygrad_opt.kernels import update_rule

    @update_rule
    def mine(p, g, lr):
        return p - {factor} * lr * g
"""


def load(path):
    spec = importlib.util.spec_from_file_location("my_rules", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_edited_rule_is_noticed(tmp_path):
    path = tmp_path / "my_rules.py"
    for factor in (1.0, 3.0):
        path.write_text(textwrap.dedent(RULE.format(factor=factor)))
        os.utime(path, (factor, factor))  # Python's own cache goes by the time of the file
        p = np.zeros(2, np.float32)
        load(path).mine.launch((p, np.ones(2, np.float32)), (1.0,))
        assert p.tolist() == [-factor] * 2


# Without source, and with names that mean nothing yet


def test_a_constant_defined_below_is_refused():
    with pytest.raises(RuleError, match="has no value yet; define it above"):

        @update_rule
        def f(p, g):
            return p - later * g

    later = 1.0


def test_deep_expressions_are_walked_once():
    @update_rule
    def deep(p, g):  # two walks per level would take 2**40 steps
        return (((((((((((((((((((((((((((((((((((((((p + g) + g) + g) + g) + g) + g) + g) + g)
            + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g)
            + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g) + g)  # fmt: skip

    assert deep(0.0, 1.0) == 39.0


def test_no_source_is_explained():
    scope = {}
    exec("def f(p, g):\n    return p - g", scope)
    match = r"Python keeps no source for it .*; write the rule in a file or a notebook cell"
    with pytest.raises(RuleError, match=match):
        update_rule(scope["f"])


def test_bare_prompt():
    code = "from tinygrad_opt.kernels import update_rule\n@update_rule\ndef f(p, g):\n  return p\n"
    done = subprocess.run(
        [sys.executable, "-"], input=code, capture_output=True, text=True, check=False
    )
    assert "write the rule in a file or a notebook cell" in done.stderr


def test_targets_are_checked():
    with pytest.raises(ValueError, match=r"sgd: target must be one of cpu, .*, got 'gpu'"):
        sgd.source("gpu")
    with pytest.raises(TypeError, match="sgd: dtype must be float32 or float64, got int32"):
        sgd.source(dtype="int32")
    with pytest.raises(TypeError, match="sgd: dtype must be float32 or float64, got int32"):
        sgd.asm("int32")


# Launching


def launch(p, g, *coefficients):
    sgd.launch((p, g), coefficients or (1.0, 0.0, 0.1))


def test_launch_checks_its_arguments():
    x, y = np.zeros(4, np.float32), np.zeros(4, np.float32)
    with pytest.raises(ValueError, match=r"sgd: expected 2 arrays \(p, g\), got 1"):
        sgd.launch((x,), (1.0, 0.0, 0.1))
    with pytest.raises(ValueError, match=r"expected 3 coefficients \(sign, wd, lr\), got 1"):
        launch(x, y, 0.1)
    with pytest.raises(ValueError, match="one size, but p has 4 elements and g has 3"):
        launch(x, np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="one dtype, but p is float32 and g is float64"):
        launch(x, np.zeros(4))
    with pytest.raises(TypeError, match="sgd: p must be float32 or float64, got int64"):
        launch(np.zeros(4, np.int64), np.zeros(4, np.int64))
    with pytest.raises(TypeError, match=r"sgd: g must have one dimension, got shape \(2, 2\)"):
        launch(x, y.reshape(2, 2))
    with pytest.raises(TypeError, match="sgd: g must be contiguous, got stride 8 bytes"):
        launch(x, np.zeros(8, np.float32)[::2])
    with pytest.raises(TypeError, match="sgd: p must be a NumPy or CuPy array, got list"):
        launch([1.0], y)
    with pytest.raises(TypeError, match="sgd: g must be a NumPy or CuPy array, got list"):
        launch(x, [1.0])
    with pytest.raises(TypeError, match="sgd: coefficient lr must be a number, got 'fast'"):
        launch(x, y, 1.0, 0.0, "fast")
    y.flags.writeable = False
    with pytest.raises(TypeError, match="sgd: g is read-only; kernels take writable arrays"):
        launch(x, y)
    with pytest.raises(TypeError, match="sgd: p must be float32 or float64, got >f4"):
        launch(x.astype(">f4"), x.astype(">f4"))


class FakeDeviceArray:
    __module__ = "cupy"
    dtype, ndim, size, shape, strides = np.dtype(np.float32), 1, 4, (4,), (4,)
    flags = np.zeros(4).flags


def test_mixed_devices_are_refused():
    x = np.zeros(4, np.float32)
    with pytest.raises(TypeError, match="sgd: p and g are on different devices"):
        launch(x, FakeDeviceArray())
    with pytest.raises(TypeError, match="sgd: p and g are on different devices"):
        launch(FakeDeviceArray(), x)


def test_reference_checks_its_arguments():
    with pytest.raises(ValueError, match=r"sgd: expected 2 arrays \(p, g\), got 0"):
        sgd.reference((), ())
