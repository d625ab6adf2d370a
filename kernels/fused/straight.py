"""Functions of one element that consist of straight pieces, and their slopes.

They are rows of `elementwise.py`. Comparisons with NaN are false: each is written so that a NaN
comes through. In slopes PyTorch's convention counts: that of relu is 1 there, that of abs and of
what is asked for an interval 0.
"""

from __future__ import annotations

import math


def neg(x):
    return -x


def neg_slope(g, x):
    return -g


def abs_(x):
    return abs(x)


def abs_slope(g, x):
    below = -g if x < 0 else g * 0.0
    return g if x > 0 else below


def relu(x):
    return 0.0 if x <= 0 else x


def relu_slope(g, x):
    return 0.0 if x <= 0 else g


def leaky_relu(x, negative_slope):
    return x if x > 0 else negative_slope * x


def leaky_relu_slope(g, x, negative_slope):
    return g if x > 0 else g * negative_slope


def hardtanh(x, low, high):
    y = low if x < low else x
    return high if y > high else y


def hardtanh_slope(g, x, low, high):
    return g if x > low and x < high else 0.0


def hardshrink(x, threshold):
    return 0.0 if x >= -threshold and x <= threshold else x


def hardshrink_slope(g, x, threshold):
    return g if x < -threshold or x > threshold else 0.0


def softshrink(x, threshold):
    held = -threshold if x < -threshold else x
    return x - (threshold if held > threshold else held)


def threshold(x, threshold, value):
    return value if x <= threshold else x


def threshold_slope(g, x, threshold, value):
    return 0.0 if x <= threshold else g


def nan_to_num(x, nan, posinf, neginf):
    y = nan if x != x else x
    y = posinf if x == math.inf else y
    return neginf if x == -math.inf else y


def nan_to_num_slope(g, x, nan, posinf, neginf):
    return g if abs(x) < math.inf else 0.0


def hardsigmoid(x):
    gate = 0.0 if x < -3 else x + 3
    return (6.0 if gate > 6 else gate) / 6


def hardsigmoid_slope(g, x):
    return g / 6 if x > -3 and x < 3 else 0.0


def hardswish(x):
    gate = 0.0 if x < -3 else x + 3
    gate = 6.0 if gate > 6 else gate
    return x * (gate / 6)


def hardswish_slope(g, x):
    inside = 0.0 if x <= -3 else g * (x / 3 + 0.5)
    return g if x >= 3 else inside


def softsign(x):
    return x / (1 + abs(x))


def softsign_slope(g, x):
    d = 1 + abs(x)
    return g / (d * d)
