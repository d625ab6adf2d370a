"""The table of all rules that the generic tests run over, and data to feed them."""

import numpy as np

from tinygrad_opt import kernels
from tinygrad_opt.kernels import textbook

# Plausible coefficients at a second step, none of them neutral.
COEFFICIENTS = {
    "sign": -1.0,
    "wd": 0.01,
    "decay": 0.9,
    "lr": 0.1,
    "mu": 0.9,
    "damp": 0.7,
    "oma": 0.01,
    "omb": 0.1,
    "omb1": 0.1,
    "omb2": 0.001,
    "omb3": 0.01,
    "omr": 0.1,
    "omm": 0.2,
    "b": 0.9,
    "b1": 0.9,
    "b2": 0.999,
    "b3": 0.99,
    "al": 0.99,
    "rho": 0.9,
    "eps": 0.001,
    "c1": 1 / (1 - 0.9**2),
    "c2": 1 / (1 - 0.999**2),
    "c3": 1 / (1 - 0.99**2) ** 0.5,
    "cg": 0.03,
    "cm": 0.06,
    "cd": 0.04,
    "ck": 0.4,
    "ly": 0.05,
    "shrink": 0.5,
    "grow": 1.2,
    "low": 0.4,
    "high": 1.5,
    "clip": 1.2,
    "new": 0.2,
    "new1": 0.03,
    "new2": 0.002,
    "floor": 0.5,
}


def rules_of(space):
    """The rules among some names."""
    return {name: rule for name, rule in space.items() if isinstance(rule, kernels.UpdateRule)}


# Every rule that users can reach, by name.
RULES = rules_of({name: getattr(kernels, name) for name in kernels.__all__})
RULES |= {f"textbook.{name}": rule for name, rule in rules_of(vars(textbook)).items()}


def coefficients(rule):
    """Return the table's coefficients for `rule`, in its order."""
    return [COEFFICIENTS[name] for name in rule.coefficients]


def arrays(rule, dtype, size, seed=0):
    """Return parameter, gradient and states; states are in (0, 2), as averages of squares are."""
    random = np.random.default_rng(seed)
    vectors = [random.standard_normal(size), random.standard_normal(size)]
    vectors += [random.uniform(0.0, 2.0, size) for _ in rule.states]
    return [v.astype(dtype) for v in vectors]


def copies(vectors):
    """Return a copy of each array."""
    return [v.copy() for v in vectors]
