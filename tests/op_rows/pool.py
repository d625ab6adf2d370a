"""Rows of pooling, and of images in other sizes."""

import itertools
import math

import numpy as np
from op_rows import rows
from op_rows.rows import Row, apart, functional, of, positive

from tinygrad_opt import ops
from tinygrad_opt.arrays.windows import Window


def np_windows(x, reduce, kernel, stride=None, padding=0, dilation=1, ceil=False):
    """reduce(cells, cells with padding) of each window, by definition."""
    axes = x.ndim - 2
    stride = stride or kernel
    rounded = math.ceil if ceil else math.floor
    spans = []
    for n in x.shape[2:]:
        count = rounded((n + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
        if ceil and (count - 1) * stride >= n + padding:
            count -= 1
        spans.append([
            ([i for i in range(start, start + dilation * (kernel - 1) + 1, dilation) if 0 <= i < n],
             min(start + kernel, n + padding) - start)
            for start in range(-padding, count * stride - padding, stride)
        ])  # fmt: skip
    y = np.empty((*x.shape[:2], *map(len, spans)))
    for at in itertools.product(*(range(len(span)) for span in spans)):
        chosen = [spans[a][i] for a, i in enumerate(at)]
        cells = x[(..., *np.ix_(*(c for c, _ in chosen)))].reshape(*x.shape[:2], -1)
        y[(..., *at)] = reduce(cells, math.prod(n for _, n in chosen))
    assert axes == len(spans)
    return y


def np_adaptive(x, reduce, out):
    y = np.empty((*x.shape[:2], *out))
    for at in itertools.product(*map(range, out)):
        cells = tuple(
            slice(i * n // m, -(-(i + 1) * n // m))
            for i, n, m in zip(at, x.shape[2:], out, strict=True)
        )
        y[(..., *at)] = reduce(x[(..., *cells)].reshape(*x.shape[:2], -1), None)
    return y


def largest(cells, count):
    return cells.max(-1)


def mean(cells, count):
    return cells.mean(-1)


def padded_mean(cells, count):
    return cells.sum(-1) / count


def root(cells, count):
    return np.sqrt((cells**2).sum(-1))


def np_linear(n, out, align=False, scale=None):
    """The matrix of linear interpolation, output by output."""
    matrix = np.zeros((out, n))
    for o in range(out):
        at = (o + 0.5) * (scale or n / out) - 0.5
        at = o * (n - 1) / (out - 1) if align else max(at, 0.0)
        i = min(int(at), n - 1)
        matrix[o, i] += 1 - (at - i)
        matrix[o, min(i + 1, n - 1)] += at - i
    return matrix


def np_cubic(n, out):
    def kernel(d, a=-0.75):
        d = abs(d)
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0

    matrix = np.zeros((out, n))
    for o in range(out):
        at = (o + 0.5) * n / out - 0.5
        for i in range(math.floor(at) - 1, math.floor(at) + 3):
            matrix[o, min(max(i, 0), n - 1)] += kernel(at - i)
    return matrix


def np_triangle(n, out, align=False):
    """Antialiased linear interpolation for out < n."""
    scale = (n - 1) / (out - 1) if align else n / out
    matrix = np.array([
        [max(1 - abs(i + 0.5 - (o + 0.5) * scale) / scale, 0) for i in range(n)] for o in range(out)
    ])  # fmt: skip
    return matrix / matrix.sum(1, keepdims=True)


def both(rows, columns):
    return lambda x: np.einsum("oi,ncij,pj->ncop", rows, x, columns)


# Windows of 2 by 2 cells, two apart, on an image with padding. Which cell is chosen of each (255:
# none); where these stand in the flat image.
APART = Window((4, 6), (2, 2), (2, 3), (2, 2), (1, 1), (1, 1))
CHOICE = np.array([[[[3, 2, 3], [1, 255, 0]]]], np.uint8)
CHOSEN = np.array([[0, 1, 4], [6, 0, 9]])
THERE = CHOICE[0, 0] < 255
WEIGHTS = (0.5, 2.0), (1.0, -1.0, 0.25)


def np_weighted(x):
    """The sums of APART's windows times WEIGHTS."""
    return np_windows(x, lambda cells, count: cells.sum(-1), 2, 2, 1)[:, :, :2, :3] * np.outer(
        *WEIGHTS
    )


def np_spread(g):
    cell = np.repeat(np.repeat(g * np.outer(*WEIGHTS), 2, 2), 2, 3)
    y = np.zeros((1, 1, 4, 6))
    y[:, :, :3, :5] = cell[:, :, 1:, 1:]
    return y


def torch_weighted(m, x):
    weights = m.outer(*(m.tensor(w, dtype=x.dtype) for w in WEIGHTS))
    return 4 * m.nn.functional.avg_pool2d(x, 2, 2, 1)[:, :, :2, :3] * weights


def torch_spread(m, g):
    weights = m.outer(*(m.tensor(w, dtype=g.dtype) for w in WEIGHTS))
    wide = (g * weights).repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, 1:, 1:]
    return m.nn.functional.pad(wide, (0, 1, 0, 1))


IMAGE = of((2, 2, 5, 4), values=apart)
PLAIN = of((2, 2, 5, 4))
SMALL = of((1, 2, 4, 5))

POOLING = [
    Row("pick", lambda m, x: ops.pick(x, place=rows.PLACE), of((1, 1, 3, 4)),
        lambda x: x.reshape(1, 1, -1)[:, :, rows.PLACE[0, 0]],
        lambda m, x: x.reshape(1, 1, -1)[:, :, m.tensor(rows.PLACE[0, 0])]),
    Row("spread", lambda m, g: ops.spread(g, place=rows.PLACE, image=(3, 4)), of((1, 1, 2, 2)),
        lambda g: np.bincount(rows.PLACE.ravel(), g.ravel(), 12).reshape(1, 1, 3, 4),
        lambda m, g: m.zeros(12, dtype=g.dtype).index_add(
            0, m.tensor(rows.PLACE.ravel()), g.reshape(-1)).reshape(1, 1, 3, 4)),
    Row("spread_maxima", lambda m, g: ops.spread_maxima(g, choice=CHOICE, at=APART),
        of((1, 1, 2, 3)),
        lambda g: np.bincount(CHOSEN[THERE], g[0, 0][THERE], 24).reshape(1, 1, 4, 6),
        lambda m, g: m.zeros(24, dtype=g.dtype).index_add(
            0, m.tensor(CHOSEN[THERE]), g[0, 0][m.tensor(THERE)]).reshape(1, 1, 4, 6)),
    Row("pick_maxima", lambda m, x: ops.pick_maxima(x, choice=CHOICE, at=APART),
        of((1, 1, 4, 6)), lambda x: (x.ravel()[CHOSEN] * THERE)[None, None],
        lambda m, x: (x.reshape(-1)[m.tensor(CHOSEN)] * m.tensor(THERE))[None, None]),
    Row("window_maxima", lambda m, x: ops.window_maxima(x, APART)[0],
        of((1, 1, 4, 6), values=apart),
        lambda x: np_windows(x, largest, 2, 2, 1)[:, :, :2, :3],
        lambda m, x: m.nn.functional.max_pool2d(x, 2, 2, 1)[:, :, :2, :3]),
    Row("means", lambda m, x: ops.means(x, at=APART, weights=WEIGHTS), of((1, 1, 4, 6)),
        np_weighted, torch_weighted),
    Row("spread_means", lambda m, g: ops.spread_means(g, at=APART, weights=WEIGHTS),
        of((1, 1, 2, 3)), np_spread, torch_spread),
    Row("maxima: max_pool1d", functional("max_pool1d", kernel_size=2), of((2, 2, 5), values=apart),
        lambda x: np_windows(x, largest, 2)),
    Row("maxima: max_pool2d", functional("max_pool2d", kernel_size=2), IMAGE,
        lambda x: np_windows(x, largest, 2)),
    Row("maxima: max_pool2d, all settings",
        functional("max_pool2d", kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True),
        of((2, 2, 6, 7), values=apart), lambda x: np_windows(x, largest, 3, 2, 1, 2, ceil=True)),
    Row("maxima: max_pool3d", functional("max_pool3d", kernel_size=2, stride=1),
        of((1, 2, 3, 2, 3), values=apart), lambda x: np_windows(x, largest, 2, 1)),
    Row("pick: adaptive_max_pool1d", functional("adaptive_max_pool1d", output_size=3),
        of((2, 2, 5), values=apart), lambda x: np_adaptive(x, largest, (3,))),
    Row("pick: adaptive_max_pool2d", functional("adaptive_max_pool2d", output_size=(2, None)),
        IMAGE, lambda x: np_adaptive(x, largest, (2, 4))),
    Row("pick: adaptive_max_pool3d", functional("adaptive_max_pool3d", output_size=2),
        of((1, 2, 3, 2, 3), values=apart), lambda x: np_adaptive(x, largest, (2, 2, 2))),
    Row("means: avg_pool1d", functional("avg_pool1d", kernel_size=2), of((2, 2, 5)),
        lambda x: np_windows(x, mean, 2)),
    Row("means: avg_pool2d", functional("avg_pool2d", kernel_size=2), PLAIN,
        lambda x: np_windows(x, mean, 2)),
    Row("means: avg_pool2d, padded",
        functional("avg_pool2d", kernel_size=3, stride=2, padding=1, ceil_mode=True), PLAIN,
        lambda x: np_windows(x, padded_mean, 3, 2, 1, ceil=True)),
    Row("means: avg_pool2d, padding not counted",
        functional("avg_pool2d", kernel_size=3, stride=2, padding=1, count_include_pad=False),
        PLAIN, lambda x: np_windows(x, mean, 3, 2, 1)),
    Row("means: avg_pool2d, divisor",
        functional("avg_pool2d", kernel_size=3, stride=1, padding=1, divisor_override=5), PLAIN,
        lambda x: np_windows(x, lambda cells, n: cells.sum(-1) / 5, 3, 1, 1)),
    Row("means: avg_pool3d", functional("avg_pool3d", kernel_size=2, stride=1),
        of((1, 2, 3, 2, 3)), lambda x: np_windows(x, mean, 2, 1)),
    Row("resample: adaptive_avg_pool1d", functional("adaptive_avg_pool1d", output_size=3),
        of((2, 2, 5)), lambda x: np_adaptive(x, mean, (3,))),
    Row("resample: adaptive_avg_pool2d", functional("adaptive_avg_pool2d", output_size=(3, 2)),
        PLAIN, lambda x: np_adaptive(x, mean, (3, 2))),
    Row("resample: adaptive_avg_pool2d, all", functional("adaptive_avg_pool2d", output_size=1),
        PLAIN, lambda x: np_adaptive(x, mean, (1, 1))),
    Row("resample: adaptive_avg_pool3d", functional("adaptive_avg_pool3d", output_size=2),
        of((1, 2, 3, 2, 3)), lambda x: np_adaptive(x, mean, (2, 2, 2))),
    Row("means: lp_pool1d", functional("lp_pool1d", norm_type=2, kernel_size=2),
        of((2, 2, 5), values=positive), lambda x: np_windows(x, root, 2)),
    Row("means: lp_pool2d", functional("lp_pool2d", norm_type=2, kernel_size=2, stride=1),
        of((2, 2, 3, 3), values=positive), lambda x: np_windows(x, root, 2, 1)),
    Row("means: lp_pool3d", functional("lp_pool3d", norm_type=2, kernel_size=2),
        of((1, 2, 2, 3, 2), values=positive), lambda x: np_windows(x, root, 2)),
]  # fmt: skip


def places(rng):
    """An image, and places between its cells and beyond its edges."""
    between = rng.integers(-1, 4, (2, 2, 3, 2)) + rng.uniform(0.1, 0.9, (2, 2, 3, 2))
    return rng.standard_normal((2, 2, 3, 4)), *np.moveaxis(between, -1, 0)


def np_sampled(x, across, down):
    """Between rows, then between columns, of an image with zeros around it."""
    edges = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    i, j = np.floor(down).astype(int), np.floor(across).astype(int)
    n, c = np.arange(2)[:, None, None, None], np.arange(2)[:, None, None]
    cell = lambda a, b: edges[n, c, i[:, None] + 2 + a, j[:, None] + 2 + b]  # noqa: E731
    low, right = (down - i)[:, None], (across - j)[:, None]
    rows = [(1 - low) * cell(0, b) + low * cell(1, b) for b in (0, 1)]
    return (1 - right) * rows[0] + right * rows[1]


def peer_sampled(m, x, across, down):
    grid = m.stack([across * 2 / 3 - 1, down - 1], 3)  # of 4 columns and 3 rows
    return m.nn.functional.grid_sample(x, grid, align_corners=True)


RESIZING = [
    Row("sampled", lambda m, *xs: ops.sampled(*xs), places, np_sampled, peer_sampled),
    Row("resample: nearest", functional("interpolate", scale_factor=2), of((1, 2, 3)),
        lambda x: x.repeat(2, axis=-1)),
    Row("resample: nearest, smaller", functional("interpolate", size=(2, 3)), SMALL,
        lambda x: x[:, :, [0, 2]][..., [0, 1, 3]]),
    Row("resample: nearest-exact", functional("interpolate", size=(2, 3), mode="nearest-exact"),
        SMALL, lambda x: x[:, :, [1, 3]][..., [0, 2, 4]]),
    Row("resample: linear", functional("interpolate", size=7, mode="linear"), of((2, 1, 4)),
        lambda x: x @ np_linear(4, 7).T),
    Row("resample: bilinear", functional("interpolate", scale_factor=2, mode="bilinear"), SMALL,
        both(np_linear(4, 8), np_linear(5, 10))),
    Row("resample: bilinear, given factor",
        functional("interpolate", scale_factor=1.7, mode="bilinear"), SMALL,
        both(np_linear(4, 6, scale=1 / 1.7), np_linear(5, 8, scale=1 / 1.7))),
    Row("resample: bilinear, factor of the sizes",
        functional("interpolate", scale_factor=1.7, mode="bilinear", recompute_scale_factor=True),
        SMALL, both(np_linear(4, 6), np_linear(5, 8))),
    Row("resample: bilinear, corners",
        functional("interpolate", size=(7, 3), mode="bilinear", align_corners=True), SMALL,
        both(np_linear(4, 7, align=True), np_linear(5, 3, align=True))),
    Row("resample: bilinear, antialias",
        functional("interpolate", size=(2, 3), mode="bilinear", antialias=True), SMALL,
        both(np_triangle(4, 2), np_triangle(5, 3))),
    Row("resample: bilinear, antialias, corners",
        functional(
            "interpolate", size=(2, 3), mode="bilinear", antialias=True, align_corners=True),
        SMALL, both(np_triangle(4, 2, align=True), np_triangle(5, 3, align=True))),
    Row("resample: bicubic", functional("interpolate", size=(7, 6), mode="bicubic"), SMALL,
        both(np_cubic(4, 7), np_cubic(5, 6))),
    Row("resample: trilinear", functional("interpolate", size=3, mode="trilinear"),
        of((1, 1, 2, 2, 2)),
        lambda x: np.einsum("ai,bj,ck,...ijk->...abc", *[np_linear(2, 3)] * 3, x)),
    Row("resample: area", functional("interpolate", size=(3, 2), mode="area"), PLAIN,
        lambda x: np_adaptive(x, mean, (3, 2))),
    Row("transpose: pixel_shuffle", functional("pixel_shuffle", upscale_factor=2),
        of((2, 8, 2, 3)),
        lambda x: x.reshape(2, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(2, 2, 4, 6)),
    Row("transpose: pixel_unshuffle", functional("pixel_unshuffle", downscale_factor=2),
        of((2, 4, 6)),
        lambda x: np.stack([
            x[c, i::2, j::2] for c, i, j in itertools.product(range(2), range(2), range(2))])),
    Row("transpose: channel_shuffle", functional("channel_shuffle", groups=2), of((1, 4, 2)),
        lambda x: x[:, [0, 2, 1, 3]]),
]  # fmt: skip
