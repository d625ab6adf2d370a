"""Images in other sizes, padded, or with their pixels in other places."""

import itertools
import math

import numpy as np

from .convolution import each
from .pooling import adaptive

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x, pad, mode="constant", value=0.0):
    """`pad`: (before, after) of the last axis, then of the one before it, ...; negative: crop."""
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    more = {"constant_values": value} if mode == "constant" else {}
    x = np.pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], MODES[mode], **more)
    sides = zip(pairs, x.shape, strict=True)
    return x[tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in sides)]


def hat(distance):
    return max(1 - abs(distance), 0)


def cubic(distance, a=-0.75):
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def place(mode, o, n, m, step, align_corners):
    """Where in the n cells the output cell o of m lies."""
    if align_corners:
        return o * (n - 1) / (m - 1) if m > 1 else 0.0
    at = (o + 0.5) * step - 0.5
    return at if mode == "cubic" else max(at, 0.0)


def matrix(mode, n, m, step, align_corners=False):
    """(m, n): how much of each of n cells is in each of m."""
    w = np.zeros((m, n))
    for o in range(m):
        if mode.startswith("nearest"):
            shift = 0.5 if mode == "nearest-exact" else 0.0
            w[o, min(math.floor((o + shift) * step), n - 1)] = 1
            continue
        at = place(mode, o, n, m, step, align_corners)
        kernel = cubic if mode == "cubic" else hat
        for i in range(math.floor(at) - 1, math.floor(at) + 3):
            w[o, min(max(i, 0), n - 1)] += kernel(at - i)
    return w


def interpolate(
    x, size=None, scale_factor=None, mode="nearest", align_corners=False,
    recompute_scale_factor=False,
):  # fmt: skip
    image = x.shape[2:]
    factors = each(scale_factor, len(image)) if size is None else (None,) * len(image)
    sizes = each(size, len(image)) if size is not None else [
        math.floor(n * f) for n, f in zip(image, factors, strict=True)]  # fmt: skip
    if mode == "area":
        return adaptive(np.mean)(x, sizes)
    kind = "cubic" if mode == "bicubic" else mode
    for axis, (n, m, f) in enumerate(zip(image, sizes, factors, strict=True), 2):
        step = n / m if f is None or recompute_scale_factor else 1 / f
        w = matrix(kind, n, m, step, align_corners)
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ w.T, -1, axis)
    return x


def upsample(x, size=None, scale_factor=None, mode="nearest"):
    return interpolate(x, size, scale_factor, mode)


def upsample_nearest(x, size=None, scale_factor=None):
    return interpolate(x, size, scale_factor)


def upsample_bilinear(x, size=None, scale_factor=None):
    return interpolate(x, size, scale_factor, "bilinear", align_corners=True)


def pixel_shuffle(x, upscale_factor):
    """(..., c r r, h, w) -> (..., c, h r, w r): channel (c, i, j) becomes the pixels (i, j)."""
    r = upscale_factor
    y = np.empty((*x.shape[:-3], x.shape[-3] // r**2, x.shape[-2] * r, x.shape[-1] * r))
    for i, j in itertools.product(range(r), range(r)):
        y[..., i::r, j::r] = x[..., i * r + j :: r * r, :, :]
    return y


def pixel_unshuffle(x, downscale_factor):
    r = downscale_factor
    y = np.empty((*x.shape[:-3], x.shape[-3] * r**2, x.shape[-2] // r, x.shape[-1] // r))
    for i, j in itertools.product(range(r), range(r)):
        y[..., i * r + j :: r * r, :, :] = x[..., i::r, j::r]
    return y


def channel_shuffle(x, groups):
    """Channel (group, k) goes to (k, group)."""
    size = x.shape[1] // groups
    return x[:, [g * size + k for k in range(size) for g in range(groups)]]
