"""Rules that call helpers, divide with a rest, round, and draw; for tests of CPU and GPU."""

import math
from math import ceil, cos, floor, sin, sqrt

import numpy as np
from numba import njit

from tinygrad_opt.kernels import update_rule
from tinygrad_opt.kernels.draws import Normal, Uniform

HALF = 0.5


@njit
def clip(x, low=-1.0, high=1.0):
    if x < low:
        return low
    if x > high:
        return high
    return x


def halves(x, scale):
    """Two results, of a helper of its own, an early return, and a number from outside."""
    if x < 0:
        return clip(scale * x, high=HALF), -x
    return clip(HALF * x), x


def is_small(x):
    return abs(x) < 2


@update_rule
def divisions(p, g, a, b, c, d):
    return p % g, p // g, floor(p), ceil(p), p % 3


@update_rule
def helped(p, g, m, lr):
    first, second = halves(g, 3)
    m = m + (clip(second) if is_small(second) else clip(x=p, low=-2)) // 0.25
    return p - lr * (first + clip(first * 2) % 0.75), m


@update_rule
def waves(p, g, m):
    return sin(p) + np.cos(g) * math.tan(HALF), m + cos(2 * p) - math.fmod(g, 0.7)


@update_rule
def dithered(p, g, m, lr, u: Uniform, w: Uniform):
    return floor((p - lr * g) * 16 + u) / 16, m + w


@update_rule
def langevin(p, g, lr, z: Normal):
    return p - lr * g + sqrt(2 * lr) * z


EXACT = {divisions: (), helped: (0.1,), dithered: (0.1,)}
CLOSE = {waves: (), langevin: (0.1,)}


def seeds(rule):
    """What a launch of the rule takes beside arrays and coefficients."""
    return {"seed": 2**63 + 12345, "step": 7, "origin": 2**32 - 20} if rule.draws else {}


def vectors(rule, dtype, size):
    """Numbers of both signs, and all pairs of the ends of the type but denormals."""
    random = np.random.default_rng(0)
    ends = np.array([0.0, -0.0, 1, -1, 3, -3, 0.1, np.inf, -np.inf, np.nan, 1e30, -1e-30], dtype)
    p, g = (np.concatenate([random.standard_normal(size) * 3, e.ravel()]).astype(dtype)
            for e in np.meshgrid(ends, ends))  # fmt: skip
    return [p, g, *(np.zeros_like(p) for _ in rule.states)]
