"""What a rule assigns ends with its element: on one thread, on several, and in the CUDA text."""

import importlib.util
import itertools
import types

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_rules import LOCAL_RULES, coefficients
from rules import arrays, copies

from tinygrad_opt.kernels import RuleError, pool
from tinygrad_opt.kernels.compiler import denormals

every_rule = pytest.mark.parametrize("rule", LOCAL_RULES.values(), ids=LOCAL_RULES)


def by_hand(rule, vectors, scalars):
    """The plain function, called for each element with the same coefficients."""
    written = (vectors[0], *vectors[2:])
    for k in range(vectors[0].size):
        result = rule(*(v[k] for v in vectors), *map(vectors[0].dtype.type, scalars))
        for vector, value in zip(written, np.atleast_1d(result), strict=True):
            vector[k] = value


@pytest.mark.thorough
@every_rule
def test_compiled_kernels_equal_the_plain_function(rule):
    ours = arrays(rule, "float32", 37)
    theirs = copies(ours)
    by_hand(rule, theirs, coefficients(rule))
    for target in ("serial", "parallel"):
        made = copies(ours)
        rule._kernel(target, np.float32)(*made, *coefficients(rule))
        for a, b in zip(made, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=target)


def share(body, count, grain, cost, *arguments):
    for first in range(0, count, grain):
        body(first, min(first + grain, count), *arguments)


def interpreted(rule, target, monkeypatch):
    """The kernel's text run by Python: no compiler, so that hundreds of rules can be tried."""
    with monkeypatch.context() as patch:
        patch.setattr(denormals, "X86", False)
        patch.setattr(denormals, "ENTER", "pass")
        patch.setattr(denormals, "LEAVE", "pass")
        patch.setattr(pool, "share", share)
        patch.setattr(pool, "even", pool.even_grain)
        first, one = types.SimpleNamespace(x=0), types.SimpleNamespace(x=1)
        grid = dict(blockIdx=first, threadIdx=first, gridDim=one, blockDim=one)
        cuda = types.SimpleNamespace(jit=lambda **_: lambda function: function, **grid)
        patch.setattr(numba, "cuda", cuda, raising=False)
        names = {"njit": lambda *_, **__: lambda function: function}
        text = rule.source(target, "float64")
        exec(text.replace("from tinygrad_opt.kernels.direct import njit\n", ""), names)
    return names[f"{rule.name}_{target}"]


def assert_texts_equal_the_plain_function(rule, scalars, monkeypatch):
    ours = arrays(rule, "float64", 12)
    theirs = copies(ours)
    with np.errstate(all="ignore"):
        by_hand(rule, theirs, scalars)
        for target in ("serial", "parallel", "cuda"):
            made = copies(ours)
            interpreted(rule, target, monkeypatch)(*made, *map(np.float64, scalars))
            for a, b in zip(made, theirs, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=rule.source(target))


@every_rule
def test_texts_equal_the_plain_function(rule, monkeypatch):
    assert_texts_equal_the_plain_function(rule, coefficients(rule), monkeypatch)


# Random rules: assignments to any name, in branches to any depth ----------------------------------

ARGUMENTS = ("p", "g", "m", "a", "b")
NAMES = (*ARGUMENTS, "t", "u")  # t and u have no value at the start

operands = st.sampled_from([*NAMES, "0.5", "2", "-1.25"])
sums = st.tuples(operands, st.sampled_from("+-*"), operands).map(" ".join)
tests = st.tuples(operands, st.sampled_from(["<", ">="]), operands).map(" ".join)
choices = st.tuples(operands, tests, operands).map("{0[0]} if {0[1]} else {0[2]}".format)
expressions = sums | choices | operands
assignments = st.tuples(
    st.sampled_from(NAMES), st.sampled_from(["=", "+=", "*="]), expressions
).map(lambda parts: [" ".join(parts)])


def indented(lines):
    return ["  " + line for line in lines]


def branch(parts):
    test, body, orelse = parts
    tail = ["else:", *indented(orelse)] if orelse else []
    return [f"if {test}:", *indented(body), *tail]


def block(statements):
    return st.lists(statements, min_size=1, max_size=3).map(
        lambda blocks: list(itertools.chain.from_iterable(blocks))
    )


statements = st.recursive(
    assignments,
    lambda inner: st.tuples(tests, block(inner), block(inner) | st.just([])).map(branch),
    max_leaves=6,
)
numbers = itertools.count()


@settings(max_examples=150, deadline=None)
@given(body=block(statements), result=st.tuples(expressions, expressions).map(", ".join))
def test_random_rules(body, result, tmp_path_factory):
    lines = ["@update_rule", f"def rule({', '.join(ARGUMENTS)}):", *indented(body)]
    text = "\n".join([*lines, f"  return {result}"])
    path = tmp_path_factory.getbasetemp() / f"random_rule_{next(numbers)}.py"
    path.write_text(f"from tinygrad_opt.kernels import update_rule\n\n\n{text}\n")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except RuleError as refused:  # a value that may be missing, or names in each other's places
        said = str(refused)
    else:
        said = None
    if said is not None:
        assert "no value here" in said or "not known" in said or "goes; arguments are" in said
        return
    with pytest.MonkeyPatch.context() as patch:
        assert_texts_equal_the_plain_function(module.rule, (0.5, -1.5), patch)
