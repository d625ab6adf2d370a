"""Pooling, by what each window sees."""

import itertools
import math

import numpy as np

from .convolution import each, windows


def rounded_up(x, kernel, stride, padding, dilation, ceil_mode):
    """Padding (before, after) so that the windows of `ceil_mode` fit, and how many there are."""
    sides, counts = [], []
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = (math.ceil if ceil_mode else math.floor)(room / s) + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1  # it would begin in the padding behind
        missing = max((count - 1) * s + d * (k - 1) + 1 - (n + 2 * p), 0)
        sides.append((p, p + missing))
        counts.append(slice(count))
    return sides, counts


def settings(x, kernel_size, stride, padding, dilation=1):
    axes = x.ndim - 2
    stride = kernel_size if stride is None else stride
    return [each(v, axes) for v in (kernel_size, stride, padding, dilation)]


def batched(pool):
    """The pool of a single image as well; the number of axes comes from the name."""

    def of_axes(axes):
        def call(x, *args, **kwargs):
            if x.ndim == axes + 1:
                return pool(x[None], *args, **kwargs)[0]
            return pool(x, *args, **kwargs)

        return call

    return of_axes(1), of_axes(2), of_axes(3)


def last(x):
    """The axes of the kernel, in what the windows see."""
    return tuple(range(-(x.ndim - 2), 0))


def max_pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    kernel, stride, padding, dilation = settings(x, kernel_size, stride, padding, dilation)
    sides, counts = rounded_up(x, kernel, stride, padding, dilation, ceil_mode)
    seen = windows(x, kernel, stride, sides, dilation, -np.inf)
    return seen.max(axis=last(x))[(..., *counts)]


def avg_pool(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    kernel, stride, padding, ones = settings(x, kernel_size, stride, padding)
    sides, counts = rounded_up(x, kernel, stride, padding, ones, ceil_mode)
    seen = windows(x, kernel, stride, sides, ones).sum(axis=last(x))[(..., *counts)]
    if divisor_override is not None:
        return seen / divisor_override
    inside = np.ones((1, 1, *x.shape[2:]))
    if count_include_pad:
        inside = np.pad(inside, [(0, 0), (0, 0), *((p, p) for p in padding)], constant_values=1)
        sides = [(0, after - before) for before, after in sides]
    cells = windows(inside, kernel, stride, sides, ones).sum(axis=last(x))[(..., *counts)]
    return seen / cells


def lp_pool(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    kernel, stride, zeros, ones = settings(x, kernel_size, stride, 0)
    sides, counts = rounded_up(x, kernel, stride, zeros, ones, ceil_mode)
    powers = windows(abs(x) ** norm_type, kernel, stride, sides, ones)
    if ceil_mode:  # as PyTorch: the mean of the cells that are there, times the kernel's size
        inside = windows(np.ones_like(x), kernel, stride, sides, ones)
        mean = powers.sum(axis=last(x)) / inside.sum(axis=last(x))
        return (mean * math.prod(kernel))[(..., *counts)] ** (1 / norm_type)
    return powers.sum(axis=last(x)) ** (1 / norm_type)


def adaptive(reduce):
    """Windows that divide the image: output i of m sees the cells from i n / m to (i + 1) n / m."""

    def pool(x, output_size):
        image = x.shape[2:]
        wanted = each(output_size, len(image)) if output_size is not None else (None,) * len(image)
        sizes = [n if m is None else m for n, m in zip(image, wanted, strict=True)]
        y = np.empty((*x.shape[:2], *sizes))
        for at in itertools.product(*map(range, sizes)):
            cells = [
                slice(math.floor(i * n / m), math.ceil((i + 1) * n / m))
                for i, n, m in zip(at, image, sizes, strict=True)
            ]
            y[(..., *at)] = reduce(x[(..., *cells)], axis=last(x))
        return y

    return pool


def max_unpool(x, indices, kernel_size):
    """Each value at the place in the image that `indices` names, in zeros."""
    image = [n * k for n, k in zip(x.shape[2:], each(kernel_size, x.ndim - 2), strict=True)]
    y = np.zeros((*x.shape[:2], math.prod(image)))
    for n, c in np.ndindex(x.shape[:2]):
        y[n, c, indices[n, c].ravel()] = x[n, c].ravel()
    return y.reshape(*x.shape[:2], *image)


max_pool1d, max_pool2d, max_pool3d = batched(max_pool)
avg_pool1d, avg_pool2d, avg_pool3d = batched(avg_pool)
lp_pool1d, lp_pool2d, lp_pool3d = batched(lp_pool)
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = batched(adaptive(np.mean))
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = batched(adaptive(np.max))
max_unpool1d = max_unpool2d = max_unpool3d = max_unpool
