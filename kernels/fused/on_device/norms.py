"""Texts of CUDA kernels for norms of channels, and for what follows the product of a linear layer.

Of batch and instance norm x is (samples, channels, cells). A block takes a channel; of instance
norm, which sees each sample as channels of one, there are more. The formulas are `normalization.py`
and `dense.py` beside this.
"""

from __future__ import annotations

from .pieces import BLOCK, ELEMENT, ROW, added

__all__ = ["TEXTS"]

# Of channel `row`: goes through sample and cell, without a division for each element.
_LOOP = """\
    sample, cell = t // cells, t % cells
    while sample < samples:
        k = (sample * channels + row) * cells + cell
{body}\
        sample += threads // cells
        cell += threads % cells
        if cell >= cells:
            cell -= cells
            sample += 1
"""


def _over_channel(*body: str) -> str:
    return _LOOP.replace("{body}", "".join(f"        {line}\n" for line in body))


TEXTS = {
    "channel_moments": ("ddd", "qqq",
    "def channel_moments(x, mean, variance, samples, channels, cells):\n" + BLOCK + """\
    share = one / {dtype}(samples * cells)
    part = zero
""" + _over_channel("part += x[k]") + added("part", "total") + """\
    middle = total * share
    part = zero
""" + _over_channel("d = x[k] - middle", "part += d * d") + added("part", "total") + """\
    if t == 0:
        mean[row] = middle
        variance[row] = total * share
"""),
    # of elements: (x - mean) / sqrt(variance + eps) * weight + bias
    "channel_norm": ("dddddd", "qdqqqq",
    "def channel_norm(x, mean, variance, weight, bias, y, size, eps, channels, cells, weighted, "
    "biased):\n" + ELEMENT + """\
    c = (k // cells) % channels
    z = (x[k] - mean[c]) / math.sqrt(variance[c] + eps)
    if weighted == 1:
        z *= weight[c]
    if biased == 1:
        z += bias[c]
    y[k] = z
"""),
    # sums: of g z and of g, the gradients of weight and bias
    "channel_norm_back": ("dddddddd", "dqqqq",
    "def channel_norm_back(g, x, mean, variance, weight, dx, dw, db, eps, samples, channels, "
    "cells, weighted):\n" + BLOCK + """\
    middle = mean[row]
    rate = one / math.sqrt(variance[row] + eps)
    part, along = zero, zero
""" + _over_channel("part += g[k]", "along += g[k] * (x[k] - middle)")
    + added("part", "total") + added("along", "product") + """\
    product *= rate
    if t == 0:
        dw[row] = product
        db[row] = total
    share = one / {dtype}(samples * cells)
    factor = rate
    if weighted == 1:
        factor *= weight[row]
    total *= share
    product *= share * rate
""" + _over_channel("dx[k] = (g[k] - total - (x[k] - middle) * product) * factor")),
    # after a product, in its memory
    "epilogue": ("ddd", "qqqq", "def epilogue(z, bias, more, n, biased, added, cut):\n" + ROW + """\
    for j in range(t, n, threads):
        d = z[start + j]
        if biased == 1:
            d += bias[j]
        if added == 1:
            d += more[start + j]
        if cut == 1 and d <= zero:
            d = zero
        z[start + j] = d
"""),
    "sums_of_rows": ("dd", "qq", "def sums_of_rows(x, y, n, columns):\n" + BLOCK + """\
    part = zero
    for j in range(t, n, threads):
        part += x[j * columns + row]
""" + added("part", "total") + """\
    if t == 0:
        y[row] = total
"""),
    # running += share * (times * new - running)
    "approach": ("dd", "qdd", "def approach(running, new, size, share, times):\n" + ELEMENT + """\
    running[k] += share * (times * new[k] - running[k])
"""),
}  # fmt: skip
