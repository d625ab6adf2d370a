"""Rows of convolution, its transposes, and patches."""

import itertools

import numpy as np
from op_rows.rows import Row, functional, of

from tinygrad_opt import ops
from tinygrad_opt.arrays.windows import Window


def np_conv(x, w, b=None, stride=1, low=0, high=None, dilation=1, groups=1):
    """Convolution by its definition: a loop over filters, channels and taps."""
    axes = x.ndim - 2
    high = low if high is None else high
    x = np.pad(x, [(0, 0), (0, 0)] + [(low, high)] * axes)
    reach = [dilation * (k - 1) + 1 for k in w.shape[2:]]
    out = [(n - r) // stride + 1 for n, r in zip(x.shape[2:], reach, strict=True)]
    y = np.zeros((len(x), len(w), *out))
    channels, filters = w.shape[1], len(w) // groups
    for o, c in itertools.product(range(len(w)), range(channels)):
        image = x[:, o // filters * channels + c]
        for tap in itertools.product(*map(range, w.shape[2:])):
            seen = tuple(
                slice(t * dilation, t * dilation + (n - 1) * stride + 1, stride)
                for t, n in zip(tap, out, strict=True)
            )
            y[:, o] += w[(o, c, *tap)] * image[(slice(None), *seen)]
    return y if b is None else y + b.reshape(-1, *(1,) * axes)


def np_transpose(x, w, b=None, stride=1, padding=0, extra=0, dilation=1, groups=1):
    """The transposed convolution by its definition: every input cell adds a filter's image."""
    axes = x.ndim - 2
    full = [
        (n - 1) * stride + dilation * (k - 1) + 1 + extra
        for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
    ]
    filters, channels = w.shape[1], w.shape[0] // groups
    y = np.zeros((len(x), filters * groups, *full))
    for i, o in itertools.product(range(len(w)), range(filters)):
        for tap in itertools.product(*map(range, w.shape[2:])):
            to = tuple(
                slice(t * dilation, t * dilation + (n - 1) * stride + 1, stride)
                for t, n in zip(tap, x.shape[2:], strict=True)
            )
            y[(slice(None), i // channels * filters + o, *to)] += w[(i, o, *tap)] * x[:, i]
    y = y[(..., *[slice(padding, n - padding) for n in full])]
    return y if b is None else y + b.reshape(-1, *(1,) * axes)


def np_unfold(x, kernel, stride=1, padding=0, dilation=1):
    x = np.pad(x, [(0, 0), (0, 0)] + [(padding, padding)] * 2)
    out = [
        (n - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(x.shape[2:], kernel, strict=True)
    ]
    patches = [
        x[
            :,
            :,
            i * stride : i * stride + dilation * (kernel[0] - 1) + 1 : dilation,
            j * stride : j * stride + dilation * (kernel[1] - 1) + 1 : dilation,
        ]
        for i, j in itertools.product(*map(range, out))
    ]
    return np.stack([p.reshape(len(x), -1) for p in patches], axis=-1)


def np_fold(y, size, kernel):
    x = np.zeros((len(y), y.shape[1] // np.prod(kernel), *size))
    places = itertools.product(*(range(n - k + 1) for n, k in zip(size, kernel, strict=True)))
    for p, (i, j) in enumerate(places):
        x[:, :, i : i + kernel[0], j : j + kernel[1]] += y[..., p].reshape(*x.shape[:2], *kernel)
    return x


def conv(name, axes, settings, *shapes, **reference):
    """A row of the function of that many axes, on Tensors and by definition."""
    call = functional(f"conv{axes}d", **settings)
    return Row(name, call, of(*shapes), lambda *xs: np_conv(*xs, **reference))


def transposed(name, axes, settings, *shapes, **reference):
    call = functional(f"conv_transpose{axes}d", **settings)
    return Row(name, call, of(*shapes), lambda *xs: np_transpose(*xs, **reference))


GRID = Window((3, 4), (2, 3), (2, 2), (2, 1), (1, 0), (1, 1), 2)  # asymmetric in every way
PATCHES = Window((3, 4), (2, 3), (2, 2), (1, 1), (0, 0), (1, 1))


def torch_input(m, g, w):
    return m.nn.grad.conv2d_input((2, 4, 3, 4), w, g, (2, 1), (1, 0), 1, 2)


def torch_weight(m, g, x):
    return m.nn.grad.conv2d_weight(x, (2, 2, 2, 3), g, (2, 1), (1, 0), 1, 2)


def np_grid_conv(x, w):
    x = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])
    y = np.concatenate([np_conv(x[:, g * 2 : g * 2 + 2], w[g : g + 1]) for g in range(2)], axis=1)
    return y[:, :, ::2]


def np_slope(function, like, g):
    """The transpose of a linear function: its value at each unit array, times g."""
    units = np.eye(like.size).reshape(like.size, *like.shape)
    return np.array([(function(u) * g).sum() for u in units]).reshape(like.shape)


CONVOLUTIONS = [
    conv("convolve: 2d", 2, {}, (2, 3, 4, 5), (2, 3, 2, 3), (2,)),
    conv("convolve: 2d, all settings", 2, dict(stride=2, padding=2, dilation=2, groups=2),
         (2, 4, 5, 4), (6, 2, 2, 3), (6,), stride=2, low=2, dilation=2, groups=2),
    Row("convolve: 2d, same", functional("conv2d", padding="same"), of((2, 2, 3, 3), (1, 2, 2, 2)),
        lambda x, w: np_conv(x, w, low=0, high=1),
        lambda m, x, w: m.nn.functional.conv2d(m.nn.functional.pad(x, (0, 1, 0, 1)), w)),
    conv("convolve: 2d, depthwise", 2, dict(padding=1, groups=3), (2, 3, 3, 3), (3, 1, 3, 3),
         low=1, groups=3),
    conv("convolve: 2d, stride over taps", 2, dict(stride=3), (1, 2, 7, 5), (2, 2, 2, 2), stride=3),
    conv("convolve: 2d, blocks of the kernel", 2, dict(padding=1), (1, 3, 3, 3), (5, 3, 3, 3),
         low=1),
    conv("convolve: 1x1", 2, {}, (2, 3, 3, 3), (2, 3, 1, 1)),
    conv("convolve: 1d", 1, dict(stride=2, padding=1), (2, 3, 7), (2, 3, 3), (2,), stride=2, low=1),
    conv("convolve: 3d", 3, dict(padding=1, dilation=2), (1, 2, 3, 4, 3), (2, 2, 2, 1, 2), (2,),
         low=1, dilation=2),
    Row("convolve: no batch", functional("conv2d"), of((3, 4, 5), (2, 3, 2, 2)),
        lambda x, w: np_conv(x[None], w)[0]),
    transposed("convolve_input: 2d", 2, {}, (2, 3, 3, 2), (3, 2, 2, 3), (2,)),
    transposed("convolve_input: 2d, all settings", 2,
               dict(stride=2, padding=1, output_padding=1, groups=2, dilation=2),
               (2, 4, 2, 3), (4, 1, 2, 2), (2,),
               stride=2, padding=1, extra=1, groups=2, dilation=2),
    transposed("convolve_input: 2d, gaps", 2, dict(stride=3), (1, 2, 2, 2), (2, 1, 2, 2), stride=3),
    transposed("convolve_input: 1d", 1, dict(stride=2), (2, 3, 4), (3, 2, 3), (2,), stride=2),
    transposed("convolve_input: 3d", 3, dict(padding=1), (1, 2, 2, 3, 2), (2, 2, 2, 2, 2), (2,),
               padding=1),
    Row("convolve_input", lambda m, g, w: ops.convolve_input(g, w, at=GRID),
        of((2, 2, 2, 2), (2, 2, 2, 3)),
        lambda g, w: np_slope(lambda x: np_grid_conv(x, w), np.zeros((2, 4, 3, 4)), g),
        torch_input),
    Row("convolve_weight", lambda m, g, x: ops.convolve_weight(g, x, at=GRID),
        of((2, 2, 2, 2), (2, 4, 3, 4)),
        lambda g, x: np_slope(lambda w: np_grid_conv(x, w), np.zeros((2, 2, 2, 3)), g),
        torch_weight),
    Row("convolve_slopes", lambda m, g, x: ops.convolve_slopes(g, x, at=GRID)[0],
        of((2, 2, 2, 2), (2, 4, 3, 4)),
        lambda g, x: np_slope(lambda w: np_grid_conv(x, w), np.zeros((2, 2, 2, 3)), g),
        torch_weight),
    Row("columns", lambda m, x: ops.columns(x, at=PATCHES).reshape(2, 12, 4), of((2, 2, 3, 4)),
        lambda x: np_unfold(x, (2, 3)), functional("unfold", kernel_size=(2, 3))),
    Row("columns: unfold",
        functional("unfold", kernel_size=(2, 3), dilation=2, padding=1, stride=2), of((2, 2, 4, 5)),
        lambda x: np_unfold(x, (2, 3), 2, 1, 2)),
    Row("uncolumns", lambda m, y: ops.uncolumns(y.reshape(2, 2, 6, 2, 2), at=PATCHES),
        of((2, 12, 4)), lambda y: np_fold(y, (3, 4), (2, 3)),
        functional("fold", output_size=(3, 4), kernel_size=(2, 3))),
    Row("uncolumns: fold", functional("fold", output_size=(3, 4), kernel_size=(2, 3)),
        of((12, 4)), lambda y: np_fold(y[None], (3, 4), (2, 3))[0]),
]  # fmt: skip
