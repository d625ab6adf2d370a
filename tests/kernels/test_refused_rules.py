"""What `update_rule` refuses, and what it says: each rule is written to a file and imported."""

import importlib.util

import pytest

from tinygrad_opt.kernels import RuleError

HEAD = "import math\nfrom tinygrad_opt.kernels import update_rule\nTEXT = 'x'\nBIG = 10**400\n"

# The rule, and what the error says.
SHAPE = [
    ("def f(p):\n  return p", "f: must take at least a parameter and its gradient, got (p)"),
    ("def f(p, g, *rest):\n  return p", "f: takes plain positional arguments only"),
    ("def f(p, g, **rest):\n  return p", "f: takes plain positional arguments only"),
    ("def f(p, g, *, lr):\n  return p", "f: takes plain positional arguments only"),
    ("def f(p, g, lr=0.1):\n  return p", "f: takes plain positional arguments only"),
    ("def f(p, g):\n  p = p - g", "must end with one return of the parameter and its states"),
    ("def f(p, g):\n  '''Nothing.'''", "must end with one return"),
    ("def f(p, g):\n  return", "must end with one return"),
    (
        "def f(p, g):\n  if g > 0:\n    return p\n  return p - g",
        "early return in line 4 of the rule; assign in if/else and return once",
    ),
    ("def f(p, g, m):\n  return p, m, g", "returns 3 values, but has only (p, g, m) to write"),
    (
        "def f(p, g, m, v):\n  return p, v, m",
        "returns v where m goes; arguments are parameter, gradient, states, coefficients",
    ),
    ("def f(p, g, m):\n  return m", "returns m where p goes"),
    ("async def f(p, g):\n  return p", "must be a plain function written with def"),
]

BODIES = [
    ("for _ in range(3):\n    p = p - g", "For is not supported, loops are not possible"),
    ("while p > 0:\n    p = p - g", "While is not supported, loops are not possible"),
    ("def step(x):\n    return x", "FunctionDef is not supported, nested functions are not"),
    ("import os", "Import is not supported, import outside the rule"),
    ("assert p > 0", "Assert is not supported, a kernel cannot raise"),
    ("raise ValueError", "Raise is not supported, a kernel cannot raise"),
    ("g", "Expr is not supported, rules hold assignments, if/else and arithmetic only; in `g`"),
    ("a, b = p, g", "assign one name at a time in `a, b = (p, g)`"),
    ("a = b = g", "assign one name at a time in `a = b = g`"),
    ("p.x += g", "assign one name at a time in `p.x += g`"),
    ("t = g\n  t = g > 0", "t is a number in one place and a truth value in another"),
    (
        "if g > 0:\n    t = g\n  else:\n    t = g > 1",
        "t is a number in one place and a truth value in another",
    ),
    ("if g > 0:\n    t = g\n  p = p - t", "t may have no value here: assign it on every path"),
    ("p = t\n  t = g", "t may have no value here: assign it on every path in `t`"),
    ("p = p[0]", "Subscript is not supported, indexing is not possible"),
    ("p = (lambda x: x)(p)", "only names of numbers and of functions can be used"),
    (
        "p = p @ g",
        "MatMult is not supported, rules hold assignments, if/else and arithmetic only; in `p @ g`",
    ),
    (
        "p @= g",
        "MatMult is not supported, rules hold assignments, if/else and arithmetic only; in `p @ g`",
    ),
    ("p = p if p is g else g", "Is is not supported"),
    ("p = ~p", "Invert is not supported"),
    (
        "p = (g > 0) - (g < 0)",
        "a truth value cannot be used as a number, write `1.0 if ... else 0.0` in `g > 0`",
    ),
    ("p = -(g > 0)", "a truth value cannot be used as a number"),
    ("p = True * p", "a truth value cannot be used as a number"),
    ("p = 1.0 if p else g", "a condition must be a comparison, as in `x != 0`, in `p`"),
    ("p = p - TEXT", "str is not a number the kernel can hold in `TEXT`"),
    ("p = p - math", "module is not a number the kernel can hold in `math`"),
    ("p = p - BIG", "the number is too large for float64 in `BIG`"),
    ("p = p - 1 / 0", "division by zero in `1 / 0`"),
    ("p = p - rate * g", "rate is not known when the rule is made; pass it as a coefficient"),
    ("p = p.real", "only names of numbers and of functions can be used in `p.real`"),
    (
        "p = p * math.nothing",
        "only names of numbers and of functions can be used in `math.nothing`",
    ),
    (
        "p = print(p)",
        "print cannot be called in a kernel; write its lines into the rule, or use one",
    ),
    ("p = math.gamma(p)", "math.gamma cannot be called in a kernel"),
    ("p = g(p)", "g is a number in this rule and cannot be called in `g(p)`"),
    ("p = max(p, g, 0)", "max takes 2 plain argument(s) in `max(p, g, 0)`"),
]


def assert_refused(text, says, tmp_path):
    path = tmp_path / "refused.py"
    path.write_text(HEAD + text + "\n")
    spec = importlib.util.spec_from_file_location("refused", path)
    with pytest.raises(RuleError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert says in str(caught.value)
    assert str(caught.value).startswith("update rule ")


@pytest.mark.parametrize(("rule", "says"), SHAPE)
def test_shape_of_a_rule(rule, says, tmp_path):
    assert_refused("@update_rule\n" + rule, says, tmp_path)


@pytest.mark.parametrize(("body", "says"), BODIES)
def test_body_of_a_rule(body, says, tmp_path):
    assert_refused(f"@update_rule\ndef f(p, g):\n  {body}\n  return p", says, tmp_path)


def test_lambda(tmp_path):
    says = "update rule <lambda>: must be a plain function written with def"
    assert_refused("rule = update_rule(lambda p, g: p - g)", says, tmp_path)
