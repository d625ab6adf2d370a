"""What an update is thought to cost, by which the pool decides whether it wakes a thread."""

import re

import numpy as np
import pytest

from tinygrad_opt import kernels


def cost(rule, **settings):
    return int(re.search(r"even\(.*?, 16384\), (\d+),", rule.source("parallel", **settings))[1])


def test_it_rises_with_what_a_rule_moves_and_computes():
    sgd, momentum, adam = map(cost, (kernels.sgd, kernels.sgd_momentum, kernels.adam))
    assert sgd == int(16_384 * 3 * 0.12)  # nanoseconds, of three accesses to memory
    assert momentum == int(16_384 * 5 * 0.12)
    assert adam > 16_384 * 7 * 0.12  # it has a root and quotients, too


def test_it_doubles_with_the_width():
    wide = cost(kernels.adam, dtype=np.float64)
    assert wide == pytest.approx(2 * cost(kernels.adam), abs=1)
