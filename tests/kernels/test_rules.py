"""Every rule: plain Python against the compiled kernels bit for bit, and known numbers."""

import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from rules import COEFFICIENTS, RULES, arrays, coefficients, copies, rules_of

from tinygrad_opt import kernels
from tinygrad_opt.kernels import textbook, threads

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


def test_every_rule_of_every_file_is_public():
    files = [path.stem for path in Path(kernels.__file__).parent.glob("*.py")]
    found = [rules_of(vars(import_module(f"{kernels.__name__}.{name}"))) for name in files]
    assert {id(rule) for space in found for rule in space.values()} == set(map(id, RULES.values()))


@pytest.mark.thorough
@every_rule
@pytest.mark.parametrize(
    ("dtype", "parallel"), [("float32", False), ("float64", False), ("float32", True)]
)
def test_kernel_equals_plain_python_bit_for_bit(rule, dtype, parallel, monkeypatch):
    monkeypatch.setattr(threads, "threshold", 1 if parallel else 10**9)
    compiled = arrays(rule, dtype, 1037)  # no multiple of a SIMD register
    plain = copies(compiled)
    for _ in range(3):
        rule.launch(compiled, coefficients(rule))
        rule.reference(plain, coefficients(rule))
    for ours, oracle in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(ours, oracle)
    assert (rule._kernels["parallel"].get(np.dtype(dtype)) is not None) or not parallel


@every_rule
def test_every_coefficient_and_array_matters(rule):
    """A coefficient, state or gradient that does nothing is a mistake in the rule."""
    vectors, values = arrays(rule, "float64", 16), coefficients(rule)
    expected = copies(vectors)
    rule.launch(expected, values)
    for k, value in enumerate(values):
        differs = False
        for factor in (1.001, 1000.0, -1.0):  # the last two for what decides a bound or a sign
            changed, got = list(values), copies(vectors)
            changed[k] = factor * value
            rule.launch(got, changed)
            differs = any((a != b).any() for a, b in zip(got, expected, strict=True))
            if differs:
                break
        assert differs, rule.coefficients[k]
    for k in range(1, len(vectors)):
        got = copies(vectors)
        got[k] *= -1.5
        rule.launch(got, values)
        others = [j for j in range(len(vectors)) if j not in (1, k)]
        changed = any((got[j] != expected[j]).any() for j in others)
        # An average beside the parameter acts on itself alone, but is not only carried along.
        carried = np.array_equal(got[k], -1.5 * expected[k])
        assert changed or (k > 1 and not carried), rule._array_names[k]


@every_rule
def test_gradient_is_not_written(rule):
    vectors = arrays(rule, "float32", 100)
    before = vectors[1].copy()
    rule.launch(vectors, coefficients(rule))
    np.testing.assert_array_equal(vectors[1], before)


@every_rule
def test_nan_gradient_reaches_parameter_and_later_steps(rule):
    if rule is kernels.cautious:
        pytest.skip("reads only the sign; the rule before it has made the parameter NaN")
    vectors = arrays(rule, "float32", 100)
    vectors[1][7] = np.nan
    rule.launch(vectors, coefficients(rule))
    assert np.isnan(vectors[0]).nonzero()[0].tolist() == [7]
    for state in vectors[2:]:
        assert np.isnan(state).nonzero()[0].tolist() == [7]


@every_rule
def test_empty_arrays(rule):
    rule.launch(arrays(rule, "float32", 0), coefficients(rule))


def one_step(rule, p, g, *states, **values):
    """Run `rule` on one element in float64; return parameter and states."""
    vectors = [np.array([float(x)]) for x in (p, g, *states)]
    rule.launch(vectors, [values[name] for name in rule.coefficients])
    return [float(vectors[0][0]), *(float(v[0]) for v in vectors[2:])]


off = {"sign": 1.0, "wd": 0.0, "decay": 1.0}
RPROP = {"shrink": 0.5, "grow": 2, "low": 0.2, "high": 3}

# rule, (p, g, states), coefficients, what comes out by hand
BY_HAND = [
    (kernels.sgd, (1, 2), {**off, "lr": 0.25}, [0.5]),
    (kernels.sgd, (1, 2), {**off, "wd": 0.5, "lr": 0.25}, [0.375]),
    (kernels.sgd, (1, 2), {**off, "sign": -1.0, "lr": 0.25}, [1.5]),
    (kernels.sgd_momentum, (1, 2, 4), {**off, "lr": 0.25, "mu": 0.5, "damp": 1}, [0, 4]),
    (kernels.sgd_momentum, (1, 2, 4), {**off, "lr": 0.25, "mu": 0.5, "damp": 0.5}, [0.25, 3]),
    (kernels.sgd_nesterov, (1, 2, 4), {**off, "lr": 0.25, "mu": 0.5}, [0, 4]),
    (kernels.rmsprop, (1, 2, 0), {**off, "lr": 0.5, "al": 0.75, "oma": 0.25, "eps": 1}, [0.5, 1]),
    (
        kernels.rmsprop_momentum,
        (1, 2, 0, 1),
        {**off, "lr": 0.5, "al": 0.75, "oma": 0.25, "eps": 1, "mu": 0.5},
        [0.25, 1, 1.5],
    ),
    (
        kernels.rmsprop_centered,
        (1, 4, 4, 0),
        {**off, "lr": 0.5, "al": 0.5, "oma": 0.5, "eps": 1 - math.sqrt(6)},
        [-1, 10, 2],
    ),
    (
        kernels.rmsprop_centered_momentum,
        (1, 4, 4, 1, 0),
        {**off, "lr": 0.5, "al": 0.5, "oma": 0.5, "eps": 1 - math.sqrt(6), "mu": 0.5},
        [-1.25, 10, 4.5, 2],
    ),
    (
        kernels.adam,
        (1, 2, 0, 0),
        {**off, "lr": 0.5, "omb1": 0.5, "b2": 0.75, "omb2": 0.25, "eps": 1, "c1": 2, "c2": 3},
        [0.75, 1, 1],
    ),
    (
        kernels.adam,
        (1, 2, 0, 0),
        {
            **off,
            "decay": 0.5,
            "lr": 0.5,
            "omb1": 0.5,
            "b2": 0.75,
            "omb2": 0.25,
            "eps": 1,
            "c1": 2,
            "c2": 3,
        },
        [0.25, 1, 1],
    ),
    (
        kernels.adam_amsgrad,
        (1, 2, 0, 0, 9),
        {**off, "lr": 0.5, "omb1": 0.5, "b2": 0.75, "omb2": 0.25, "eps": 1, "c1": 2, "c2": 1},
        [0.75, 1, 1, 9],
    ),
    (
        kernels.adam_amsgrad,
        (1, 2, 0, 0, 0.5),
        {**off, "lr": 0.5, "omb1": 0.5, "b2": 0.75, "omb2": 0.25, "eps": 1, "c1": 2, "c2": 3},
        [0.75, 1, 1, 1],
    ),
    (
        kernels.radam_start,
        (1, 2, 0, 8),
        {**off, "lr": 0.5, "omb1": 0.5, "b2": 0.75, "omb2": 0.25, "c1": 2},
        [0, 1, 7],
    ),
    (
        kernels.adabelief,
        (1, 2, 0, 0),
        {
            **off,
            "lr": 0.5,
            "omb1": 0.5,
            "b2": 0.5,
            "omb2": 0.5,
            "eps": 1.5,
            "c1": 2,
            "c2": math.sqrt(2) / 4,
        },
        [0.5, 1, 2],
    ),
    (
        kernels.adadelta,
        (1, 2, 28, 4),
        {**off, "lr": 0.25, "rho": 0.5, "omr": 0.5, "eps": 0},
        [0.75, 16, 2.5],
    ),
    (kernels.adagrad, (1, 3, 16), {**off, "lr": 0.5, "eps": 1}, [0.75, 25]),
    (
        kernels.adamax,
        (1, 2, 0, 8),
        {**off, "lr": 0.5, "omb1": 0.5, "b2": 0.5, "eps": 1, "c1": 2},
        [0.75, 1, 4],
    ),
    (
        kernels.adamax,
        (1, 2, 0, 4),
        {**off, "lr": 0.75, "omb1": 0.5, "b2": 0.5, "eps": 1, "c1": 2},
        [0.5, 1, 3],
    ),
    (
        kernels.adan,  # g changes by 1, so that n = 2.5
        (1, 2, 0, 2, 0, 1),
        {
            **off,
            "decay": 0.5,
            "omb1": 0.5,
            "b2": 0.5,
            "omb2": 0.5,
            "b3": 0.36,
            "omb3": 0.64,
            "eps": 1,
            "cm": 1,
            "cd": 2,
            "c3": 0.5,
        },
        [0.5 * (1 - 4 / 2), 1, 1.5, 4, 2],
    ),
    (
        kernels.adopt,
        (1, 2, 0, 4),
        {**off, "lr": 0.5, "omb1": 0.5, "b2": 0.5, "omb2": 0.5, "eps": 1, "clip": 9},
        [0.75, 0.5, 4],
    ),
    (
        kernels.adopt,  # both bounds: eps under the root, clip above the quotient
        (1, -8, 0, 1),
        {**off, "decay": 0.5, "lr": 0.5, "omb1": 0.5, "b2": 0.5, "omb2": 0.5, "eps": 2, "clip": 3},
        [1.25, -1.5, 32.5],
    ),
    (kernels.asgd, (1, 2, 4), {**off, "decay": 0.5, "lr": 0.25, "mu": 0.5, "omm": 0.5}, [0, 2]),
    (kernels.asgd, (1, 2, 4), {**off, "lr": 0.25, "mu": 1, "omm": 0}, [0.5, 0.5]),
    (kernels.cautious, (1, 2, 4), {**off, "decay": 0.5}, [2, 1]),
    (kernels.cautious, (3, 2, 4), {**off, "decay": 0.5}, [2, 0]),
    (kernels.cautious, (3, 2, 4), {**off, "sign": -1.0, "decay": 0.5}, [2, -1]),
    (kernels.cautious, (3, 2, 4), {**off, "wd": -1.0, "decay": 0.5}, [2, -1]),
    (kernels.lion, (1, 2, -1), {**off, "lr": 0.25, "omb1": 0.5, "omb2": 0.25}, [0.75, -0.25]),
    (kernels.lion, (1, 2, -4), {**off, "lr": 0.25, "omb1": 0.5, "omb2": 0.25}, [1.25, -2.5]),
    (kernels.lion, (1, 2, -2), {**off, "lr": 0.25, "omb1": 0.5, "omb2": 0.25}, [1, -1]),
    (
        kernels.nadam,
        (1, 2, 0, 0),
        {**off, "omb1": 0.5, "b2": 0.75, "omb2": 0.25, "eps": 1, "c2": 3, "cg": 0.5, "cm": 1},
        [0.5, 1, 1],
    ),
    # Rprop: the same sign, another sign, no last gradient, and both bounds of the step's size.
    (kernels.rprop, (1, 2, 3, 0.5), {**off, **RPROP}, [0, 2, 1]),
    (kernels.rprop, (1, 2, -3, 0.5), {**off, **RPROP}, [1, 0, 0.25]),
    (kernels.rprop, (1, -2, 0, 0.5), {**off, **RPROP}, [1.5, -2, 0.5]),
    (kernels.rprop, (1, 2, 3, 2), {**off, **RPROP}, [-2, 2, 3]),
    (kernels.rprop, (1, 2, -3, 0.25), {**off, **RPROP}, [1, 0, 0.2]),
    (
        kernels.schedule_free_adamw,
        (1, 2, 3, 0),
        {
            **off,
            "wd": 1,
            "lr": 0.5,
            "b2": 0.75,
            "omb2": 0.25,
            "eps": 1,
            "c2": 3,
            "ck": 0.25,
            "ly": 0.5,
        },
        [0.75, 2.25, 1],
    ),
    (
        kernels.schedule_free_sgd,
        (1, 2, 3),
        {**off, "lr": 0.5, "ck": 0.25, "ly": 0.25},
        [1, 2],
    ),
    (
        kernels.adam_direction,  # leaves a direction, and takes weight decay from what was there
        (1, 2, 0, 0),
        {**off, "wd": 0.5, "omb1": 0.5, "b2": 0.75, "omb2": 0.25, "eps": 1, "c1": 2, "c2": 3},
        [1, 1, 1],
    ),
    (kernels.average, (4, 2), {"omb": 0.25}, [3.5]),
    (kernels.average_square, (8, 2), {"b": 0.75, "omb": 0.25}, [7]),
    (
        kernels.lars,
        (1, 2, 4),
        {**off, "wd": 2, "lr": 0.25, "mu": 0.5},
        [-2, 3],
    ),
    (
        kernels.prodigy,
        (1, 2, 4, 12),
        {
            "wd": 2,
            "decay": 0.5,
            "lr": 0.25,
            "b1": 0.5,
            "b2": 0.5,
            "new1": 0.5,
            "new2": 0.625,
            "eps": 4,
        },
        [0.375, 4, 16],
    ),
    (kernels.prodigy_sum, (4, 2), {"b": 0.5, "new": 0.25}, [2.5]),
    (kernels.scaled_direction, (4, 3), {"sign": -1.0, "floor": 1.0}, [-1.5]),
    (kernels.scaled_direction, (4, 3), {"sign": 1.0, "floor": 9.0}, [1]),
    (kernels.step_along, (4, 2), {"decay": 0.5, "lr": 0.25}, [1.5]),
    (textbook.gradient_descent, (1, 2), {"lr": 0.25}, [0.5]),
    (textbook.momentum, (1, 2, 4), {"lr": 0.25, "b": 0.75, "omb": 0.25}, [0.125, 3.5]),
    (textbook.rmsprop, (1, 2, 4), {"lr": 1, "b": 0.5, "omb": 0.5, "eps": 12}, [0.5, 4]),
    (
        textbook.adam,
        (1, 2, 4, 0),
        {"lr": 1, "b1": 0.5, "omb1": 0.5, "b2": 0.5, "omb2": 0.5, "eps": 5, "c2": 2},
        [0, 3, 2],
    ),
]


@pytest.mark.parametrize(("rule", "inputs", "values", "expected"), BY_HAND)
def test_one_step_by_hand(rule, inputs, values, expected):
    assert one_step(rule, *inputs, **values) == pytest.approx(expected, rel=1e-14, abs=1e-14)


def test_by_hand_covers_every_rule():
    assert {id(row[0]) for row in BY_HAND} == {id(rule) for rule in RULES.values()}


def test_centered_rmsprop_survives_a_negative_variance():
    values = {**COEFFICIENTS, "al": 1.0, "oma": 1e-12, "wd": 0.0}
    p, _, _ = one_step(kernels.rmsprop_centered, 1, 1, 1 - 1e-6, 1, **values)
    assert math.isfinite(p)


def test_coefficient_is_rounded_once():
    p = np.zeros(1, np.float32)
    textbook.gradient_descent.launch((p, np.ones(1, np.float32)), (0.1,))
    assert p[0] == -np.float32(0.1)


def test_ints_and_numpy_scalars_are_coefficients_too():
    p = np.zeros(3, np.float32)
    g = np.ones(3, np.float32)
    textbook.gradient_descent.launch((p, g), (2,))
    textbook.gradient_descent.launch((p, g), [np.float64(0.5)])
    assert p.tolist() == [-2.5] * 3
