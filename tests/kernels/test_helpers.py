"""Helpers in rules, `%` and `//`, rounding and waves: kernels against plain Python."""

import re

import numpy as np
import pytest
from calling_rules import CLOSE, EXACT, clip, divisions, helped, seeds, vectors, waves
from test_refused_rules import assert_refused

from tinygrad_opt.commands import machine_code
from tinygrad_opt.kernels import adam, threads, update_rule


def assert_same_bits(ours, oracle):
    """Equal, zeros of the same sign, and NaN in the same places."""
    for a, b in zip(ours, oracle, strict=True):
        np.testing.assert_array_equal(a, b)
        numbers = ~np.isnan(b)
        np.testing.assert_array_equal(np.signbit(a)[numbers], np.signbit(b)[numbers])


@pytest.mark.parametrize("rule", [*EXACT, *CLOSE], ids=lambda rule: rule.name)
@pytest.mark.parametrize(
    ("dtype", "parallel"), [("float32", False), ("float64", False), ("float32", True)]
)
def test_kernels_are_plain_python(rule, dtype, parallel, monkeypatch):
    monkeypatch.setattr(threads, "threshold", 1 if parallel else 10**9)
    ours = vectors(rule, dtype, 301)
    oracle = [v.copy() for v in ours]
    given = {**EXACT, **CLOSE}[rule]
    rule.launch(ours, given, **seeds(rule))
    rule.reference(oracle, given, **seeds(rule))
    if rule in EXACT:
        assert_same_bits(ours, oracle)
    for a, b in zip(ours, oracle, strict=True):
        scale = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(a, b, rtol=scale, atol=scale)


def test_the_divisions_are_numpys():
    p, g, *states = vectors(divisions, "float64", 50)
    with np.errstate(all="ignore"):
        expected = [p % g, g, p // g, np.floor(p), np.ceil(p), p % 3]
    ours = [p, g, *states]
    divisions.launch(ours, ())
    assert_same_bits(ours, expected)


def test_called_with_numbers_it_is_plain_python():
    assert divisions(-7.5, 2.0, 0, 0, 0, 0) == (0.5, -4.0, -8, -7, 1.5)
    assert helped(1.0, -4.0, 0.0, 0.5) == (1.0 - 0.5 * (-1.0 + 0.5), 4.0)


def test_helpers_mean_what_they_meant_at_the_definition():
    rate = 2.0

    def scaled(x):
        return rate * x

    @update_rule
    def rule(p, g):
        return scaled(p) - g

    rate = 3.0
    p = np.ones(3)
    rule.launch((p, np.zeros(3)), ())
    assert p.tolist() == [2.0] * 3
    assert rule(1.0, 0.0) == 2.0
    assert scaled(1.0) == 3.0


def test_vectors_stay_wide():
    """A rule without any of it has the registers it had; rounding is packed as well."""
    for rule in (adam, update_rule(rounding)):
        found = machine_code.hot_loop(rule.asm())
        assert found is not None
        assert found.bits >= machine_code.hot_loop(update_rule(plain).asm()).bits
        assert not re.search(r"\bfmod|\bfloor\b", rule.asm())


def plain(p, g, lr):
    return p - lr * g


def rounding(p, g, lr):
    from_below = clip(p - lr * g, high=3.0)
    return np.floor(from_below)


def test_the_text_names_helpers():
    text = helped.source()
    assert "halves1_" in text
    assert "clip" in text
    assert "def part" in helped.source("parallel")
    assert "device_floor" in divisions.source("cuda")
    assert "vector_floor" in divisions.source()
    assert "tan(float32(0.5))" in waves.source()


# What is refused, with the file and the line ------------------------------------------------------

HELPERS = [
    ("def h(x):\n  return h(x)", "h calls itself: a kernel has no recursion in `h(x)`"),
    ("def h(x):\n  for i in range(3):\n    x = x + i\n  return x", "loops are not possible"),
    ("def h(x):\n  while x > 1:\n    x = x / 2\n  return x", "loops are not possible"),
    ("T = [1.0]\ndef h(x):\n  return x * T[0]", "indexing is not possible"),
    ("import numpy as np\nT = np.ones(3)\ndef h(x):\n  return x * T", "ndarray is not a number"),
    ("def h(x):\n  if x > 0:\n    return x", "must return a number on every path"),
    ("def h(x):\n  if x > 0:\n    return x, x\n  return x", "or always as many"),
    ("def h(*x):\n  return x", "takes plain positional arguments only"),
    ("def h(x, y):\n  return x", "h(x, y) cannot be called like this: missing a required argument"),
    ("def h(x):\n  return x, x", "h returns 2 numbers, as in `a, b = ...`,"),
    ("h = lambda x: x", "must be a function written with def"),
    ("def h(x):\n  yield x", "must be a function written with def, and no generator"),
    ("def h(x):\n  return print(x)", "print cannot be called in a kernel"),
    (
        "import functools\ndef d(f):\n  @functools.wraps(f)\n  def w(x):\n    return f(x)\n"
        "  return w\n@d\ndef h(x):\n  return x",
        "is wrapped by a decorator",
    ),
    (
        "def a(x):\n  return x + x\n" + "".join(
            f"def {n}(x):\n  return {m}(x) * {m}(x + 1)\n" for m, n in zip("abcdefgi", "bcdefgih",
                                                                         strict=True)
        ),
        "more than 500 calls of helpers are inlined",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), HELPERS, ids=lambda text: text[-30:])
def test_helpers_that_cannot_be(text, says, tmp_path):
    rule = f"{text}\n@update_rule\ndef f(p, g):\n  return h(p) - g"
    assert_refused(rule, says, tmp_path)
    assert_refused(rule, "refused.py, line ", tmp_path)


def test_several_results_are_taken_one_by_one(tmp_path):
    head = "def h(x):\n  return x, x\n@update_rule\ndef f(p, g):\n  "
    assert_refused(head + "a, b, c = h(p)\n  return a", "h returns 2, not 3 numbers", tmp_path)
    says = "assign one name at a time, or call a helper that returns several"
    assert_refused(head + "a, b = abs(p)\n  return a", says, tmp_path)
    assert_refused(head + "a = h(*p)\n  return a", "is called with * or **", tmp_path)
