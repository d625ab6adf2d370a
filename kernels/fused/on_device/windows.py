"""Texts of CUDA kernels for windows on images: im2col and its transpose, maxima and means.

One thread for each element of what comes out, which gathers what goes there: no atomics, the same
bits every time. Images have three axes; `arrays/windows.py` beside the array code says what the
numbers mean, which go in as in `GEOMETRY`.
"""

from __future__ import annotations

from .pieces import ELEMENT

__all__ = ["TEXTS"]

_NUMBERS = "i0, i1, i2, k0, k1, k2, o0, o1, o2, s0, s1, s2, l0, l1, l2, d0, d1, d2"
_Q = "q" * 18

# For each tap of the window (a, b, c), and where it looks: `body` runs where that is in the image.
_OVER_TAPS = """\
    for u in range(k0):
        p = a * s0 - l0 + u * d0
        if p < 0 or p >= i0:
            continue
        for v in range(k1):
            q = b * s1 - l1 + v * d1
            if q < 0 or q >= i1:
                continue
            for w in range(k2):
                r = c * s2 - l2 + w * d2
                if r < 0 or r >= i2:
                    continue
                tap = (u * k1 + v) * k2 + w
                cell = start + (p * i1 + q) * i2 + r
{body}"""

# For each tap through which a window sees the cell (p, q, r): `body`, with the window's place.
_OVER_WINDOWS = """\
    for u in range(k0):
        a = p + l0 - u * d0
        if a < 0 or a % s0 != 0 or a // s0 >= o0:
            continue
        for v in range(k1):
            b = q + l1 - v * d1
            if b < 0 or b % s1 != 0 or b // s1 >= o1:
                continue
            for w in range(k2):
                c = r + l2 - w * d2
                if c < 0 or c % s2 != 0 or c // s2 >= o2:
                    continue
                tap = (u * k1 + v) * k2 + w
                place = ((a // s0) * o1 + b // s1) * o2 + c // s2
{body}"""


def _with(loop: str, *body: str) -> str:
    return loop.replace("{body}", "".join(f"                {line}\n" for line in body))


# k: an element of (images, *output); or of (images, *image)
_WINDOW = """\
    image = k // (o0 * o1 * o2)
    a, b, c = (k // (o1 * o2)) % o0, (k // o2) % o1, k % o2
    start = image * (i0 * i1 * i2)
"""
_CELL = """\
    image = k // (i0 * i1 * i2)
    p, q, r = (k // (i1 * i2)) % i0, (k // i2) % i1, k % i2
    start = image * (o0 * o1 * o2)
"""

# Columns lie as (batch, channels, taps, windows), or with the batch inside: before the windows.
TEXTS = {
    "columns": ("dd", "qqqq" + _Q, "def columns(x, y, size, batch, channels, inside, " + _NUMBERS
    + "):\n" + ELEMENT + """\
    windows, taps = o0 * o1 * o2, k0 * k1 * k2
    place = k % windows
    if inside == 1:
        image = (k // windows) % batch
        tap = (k // (windows * batch)) % taps
        channel = k // (windows * batch * taps)
    else:
        tap = (k // windows) % taps
        channel = (k // (windows * taps)) % channels
        image = k // (windows * taps * channels)
    p = (place // (o1 * o2)) * s0 - l0 + (tap // (k1 * k2)) * d0
    q = ((place // o2) % o1) * s1 - l1 + ((tap // k2) % k1) * d1
    r = (place % o2) * s2 - l2 + (tap % k2) * d2
    if p < 0 or p >= i0 or q < 0 or q >= i1 or r < 0 or r >= i2:
        y[k] = zero
    else:
        y[k] = x[(((image * channels + channel) * i0 + p) * i1 + q) * i2 + r]
"""),
    "uncolumns": ("dd", "qqqq" + _Q, "def uncolumns(y, x, size, batch, channels, inside, "
    + _NUMBERS + "):\n" + ELEMENT + _CELL.replace("    start = image * (o0 * o1 * o2)\n", "")
    + """\
    windows, taps = o0 * o1 * o2, k0 * k1 * k2
    channel = image % channels
    image = image // channels
    start = (image * channels + channel) * taps * windows
    step = windows
    if inside == 1:
        start = (channel * taps * batch + image) * windows
        step = batch * windows
    total = zero
""" + _with(_OVER_WINDOWS, "total += y[start + tap * step + place]") + """\
    x[k] = total
"""),
    # (filters, batch, windows) -> (batch, filters, windows), plus a bias; and the way back
    "by_batch": ("ddd", "qqqqq",
    "def by_batch(x, bias, y, size, batch, filters, windows, biased):\n" + ELEMENT + """\
    filter = (k // windows) % filters
    image = k // (windows * filters)
    z = x[(filter * batch + image) * windows + k % windows]
    if biased == 1:
        z += bias[filter]
    y[k] = z
"""),
    "by_filter": ("dd", "qqqq", "def by_filter(x, y, size, batch, filters, windows):\n" + ELEMENT
    + """\
    image = (k // windows) % batch
    filter = k // (windows * batch)
    y[k] = x[(image * filters + filter) * windows + k % windows]
"""),
    # the first maximum or the last NaN, and which tap it is; 255 if there is none
    "window_maxima": ("ddb", "q" + _Q, "def window_maxima(x, y, choice, size, " + _NUMBERS + "):\n"
    + ELEMENT + _WINDOW + """\
    best, which = -infinity, int64(255)
""" + _with(_OVER_TAPS, "z = x[cell]", "if z > best or z != z:", "    best, which = z, tap",
            "elif which == 255:", "    which = tap") + """\
    y[k] = best
    choice[k] = which
"""),
    "spread_maxima": ("dbd", "q" + _Q, "def spread_maxima(g, choice, x, size, " + _NUMBERS + "):\n"
    + ELEMENT + _CELL + """\
    total = zero
""" + _with(_OVER_WINDOWS, "if choice[start + place] == tap:", "    total += g[start + place]")
    + """\
    x[k] = total
"""),
    "pick_maxima": ("dbd", "qd" + _Q, "def pick_maxima(x, choice, y, size, missing, " + _NUMBERS
    + "):\n" + ELEMENT + _WINDOW + """\
    z = missing
""" + _with(_OVER_TAPS, "if choice[k] == tap:", "    z = x[cell]") + """\
    y[k] = z
"""),
    # weights: of each window
    "means": ("ddd", "q" + _Q, "def means(x, weights, y, size, " + _NUMBERS + "):\n" + ELEMENT
    + _WINDOW + """\
    total = zero
""" + _with(_OVER_TAPS, "total += x[cell]") + """\
    y[k] = total * weights[k % (o0 * o1 * o2)]
"""),
    "spread_means": ("ddd", "q" + _Q, "def spread_means(g, weights, x, size, " + _NUMBERS + "):\n"
    + ELEMENT + _CELL + """\
    total = zero
""" + _with(_OVER_WINDOWS, "total += g[start + place] * weights[place]") + """\
    x[k] = total
"""),
}  # fmt: skip
