"""Convolution, its transpose, and patches, for any number of axes."""

import itertools
import math

import numpy as np


def each(value, axes):
    """A setting as one number for each axis."""
    return (value,) * axes if np.ndim(value) == 0 else tuple(value)


def windows(x, kernel, stride, padding, dilation, fill=0.0):
    """What each window sees: (N, C, *outputs, *kernel); `padding`: (before, after) each axis."""
    x = np.pad(x, [(0, 0), (0, 0), *padding], constant_values=fill)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, x.ndim)))
    steps, taps = ([slice(None, None, s) for s in sizes] for sizes in (stride, dilation))
    return seen[(..., *steps, *(slice(None),) * len(kernel))][(..., *taps)]


def sides(padding, kernel, dilation):
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":  # the odd cell goes behind
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(n // 2, n - n // 2) for n in total]
    return [(p, p) for p in each(padding, len(kernel))]


def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel = weight.shape[2:]
    axes = len(kernel)
    if x.ndim == axes + 1:
        return conv(x[None], weight, bias, stride, padding, dilation, groups)[0]
    dilation = each(dilation, axes)
    seen = windows(x, kernel, each(stride, axes), sides(padding, kernel, dilation), dilation)
    parts = []
    for some, w in zip(np.split(seen, groups, 1), np.split(weight, groups), strict=True):
        taps = tuple(range(2 + axes, 2 + 2 * axes))
        part = np.tensordot(some, w, ((1, *taps), (1, *range(2, 2 + axes))))
        parts.append(np.moveaxis(part, -1, 1))
    y = np.concatenate(parts, axis=1)
    return y if bias is None else y + bias.reshape(-1, *(1,) * axes)


def conv_transpose(
    x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """Every input cell adds its filters, times itself, to the output."""
    kernel = weight.shape[2:]
    axes = len(kernel)
    if x.ndim == axes + 1:
        one = x[None], weight, bias, stride, padding, output_padding, groups, dilation
        return conv_transpose(*one)[0]
    stride, padding, extra, dilation = (
        each(v, axes) for v in (stride, padding, output_padding, dilation)
    )
    full = [
        (n - 1) * s + d * (k - 1) + 1 + e
        for n, s, d, k, e in zip(x.shape[2:], stride, dilation, kernel, extra, strict=True)
    ]
    parts = []
    for some, w in zip(np.split(x, groups, 1), np.split(weight, groups), strict=True):
        part = np.zeros((len(x), w.shape[1], *full))
        for tap in itertools.product(*map(range, kernel)):
            to = [
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, n, s in zip(tap, dilation, x.shape[2:], stride, strict=True)
            ]
            part[(..., *to)] += np.einsum("nc...,co->no...", some, w[(..., *tap)])
        parts.append(part)
    y = np.concatenate(parts, axis=1)
    y = y[(..., *[slice(p, n - p) for p, n in zip(padding, full, strict=True)])]
    return y if bias is None else y + bias.reshape(-1, *(1,) * axes)


conv1d = conv2d = conv3d = conv
conv_transpose1d = conv_transpose2d = conv_transpose3d = conv_transpose


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """(N, C * kernel, windows): the patches as columns."""
    kernel, stride, dilation = (each(v, 2) for v in (kernel_size, stride, dilation))
    seen = windows(x, kernel, stride, [(p, p) for p in each(padding, 2)], dilation)
    return seen.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), -1, math.prod(seen.shape[2:4]))


def fold(columns, output_size, kernel_size, stride=1):
    """The image to which each column adds its patch."""
    (height, width), (down, across) = each(kernel_size, 2), each(stride, 2)
    patches = columns.reshape(len(columns), -1, height, width, columns.shape[-1])
    image = np.zeros((*patches.shape[:2], *each(output_size, 2)))
    rows = range(0, image.shape[2] - height + 1, down)
    for i, (r, c) in enumerate(
        itertools.product(rows, range(0, image.shape[3] - width + 1, across))
    ):
        image[:, :, r : r + height, c : c + width] += patches[..., i]
    return image
