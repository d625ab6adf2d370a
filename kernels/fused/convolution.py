"""Convolution of up to three axes, and its two transposes, without a matrix of patches.

Padded and laid out flat, an image x turns each tap of a filter into a shift: tap k of a filter
sees x[offset[k] + m], where m runs over the positions of the output. So

    convolve           y[r, m]  = sum over k of w[r, k] x[offset[k] + m]
    convolve_input     the same, of the gradient, with the shifts in the other direction
    convolve_weight    dw[r, k] = sum over m of g[r, m] x[offset[k] + m]

are two inner loops over contiguous memory. At the end of a row, m runs on into the padding: those
positions are computed and thrown away. Small images of a batch are laid out one after the other, so
that the loops stay long. A stride s splits the image into phases, every s-th cell;
a tap sees one of them, and within it the shift is again contiguous.

A block of 4 filters by 6 taps keeps the vector units busy: 70 GFLOP/s in float32 on one core with
AVX-512, where patches and a matrix product gave 25. The compiler may fuse products with sums
(`contract`) and add up dot products in any order (`reassoc`); neither makes the error bound worse.

The same with patches, in array code, is `Windows` in `arrays/windows.py`; `tests/test_twins.py`
holds both equal.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..compiler import cache

VECTOR = 16  # lengths are rounded up to it: a loop's last few elements would run one by one
TILE = 512  # positions worked on at once: what they touch stays in the first two caches. So many
# cells make a pack, too, of several samples if they are small.
PARTS = 8  # the packs are split in so many groups, whose weight gradients are added in order
_WORK_PER_ELEMENT = 16  # multiply-adds that take as long as one element of an optimizer's step

Sizes = tuple[int, ...]  # one for each of the three axes


class Plan(NamedTuple):
    """How images are packed, and where the taps find them: see `plan`."""

    layout: Any  # int64, see _PACKING below
    offset: Any  # (channels * taps) int64: where a tap starts in the packed channels
    cells: int  # of a pack, with a margin for the last vector
    length: int  # positions of the output, laid out flat, in whole vectors
    packs: int  # how many packs the batch makes


@lru_cache(maxsize=256)
def plan(
    batch: int, channels: int, image: Sizes, low: Sizes, stride: Sizes, taps: tuple[Sizes, ...],
    output: Sizes,
) -> Plan:  # fmt: skip
    """The layout for `taps`: along each axis, where they stand in the padded image.

    The padding before a row, an image or a sample is the padding after the one before it.
    """
    phase = shift = np.zeros(1, np.int64)
    size = []
    for n, p, s, at, out in zip(image, low, stride, taps, output, strict=True):
        after = (out - 1) * s + max(at) + 1 - p - n
        size.append(max(-(-(n + max(p, after)) // s), out))
        phase = (phase[:, None] * s + np.array(at) % s).ravel()
        shift = (shift[:, None] * size[-1] + np.array(at) // s).ravel()
    plane, phases = math.prod(size), math.prod(stride)
    packs = -(-batch // max(1, TILE // plane)) or 1
    together = -(-batch // packs)
    block = together * plane + int(shift.max())  # what a tap of the last cell sees is zero, too
    offset = (np.arange(channels)[:, None] * phases + phase) * block + shift
    last = ((output[0] - 1) * size[1] + output[1] - 1) * size[2] + output[2]
    length = -(-((together - 1) * plane + last) // VECTOR) * VECTOR
    layout = np.array([*stride, *low, *size, together, block], np.int64)
    return Plan(layout, offset.ravel(), channels * phases * block + VECTOR, length, packs)


def _forward_plan(
    batch: int, channels: int, image: Sizes, kernel: Sizes, output: Sizes, stride: Sizes,
    low: Sizes, dilation: Sizes,
) -> Plan:  # fmt: skip
    taps = tuple(tuple(range(0, k * d, d)) for k, d in zip(kernel, dilation, strict=True))
    return plan(batch, channels, image, low, stride, taps, output)


def convolve(
    x: Any, w: Any, bias: Any, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> Any:
    """The convolution of x (batch, groups, channels, 3 axes) with w (groups, rows, channels, ...).

    Args:
        x: contiguous, float32 or float64.
        w: of the same type.
        bias: (groups, rows) or None.
        output: the result's three lengths; the padding after the image follows from them.
        stride: of the three axes, as the next two.
        low: padding before the image.
        dilation: distance of two taps.

    Returns:
        (batch, groups, rows, *output).
    """
    batch, groups, channels = x.shape[:3]
    rows = w.shape[1]
    y = np.empty((batch, groups, rows, *output), x.dtype)
    if bias is None:
        bias = np.zeros((groups, rows), x.dtype)
    at = _forward_plan(batch, channels, x.shape[3:], w.shape[3:], output, stride, low, dilation)
    place = np.array([0, 0, 0, 1, 1, 1], np.int64)
    _correlate(x, np.ascontiguousarray(w.reshape(groups, rows, -1)), bias, at, place, y)
    return y


def convolve_input(g: Any, w: Any, image: Sizes, stride: Sizes, low: Sizes, dilation: Sizes) -> Any:
    """The gradient of `convolve` for x: (batch, groups, channels, *image).

    With a stride, the taps that meet a cell depend on its phase: each phase is a convolution of g
    with its own taps, written to every stride-th cell.
    """
    batch, groups, rows = g.shape[:3]
    channels, kernel = w.shape[2], w.shape[3:]
    x = np.zeros((batch, groups, channels, *image), g.dtype)
    bias = np.zeros((groups, channels), g.dtype)
    filters = w.transpose(0, 2, 1, 3, 4, 5)
    for phase in itertools.product(*map(_phases, image, kernel, stride, low, dilation)):
        first, chosen, margin, taps, count = zip(*phase, strict=True)
        at = plan(batch, rows, g.shape[3:], margin, (1, 1, 1), taps, count)
        part = filters[(..., *np.ix_(*chosen))].reshape(groups, channels, -1)
        place = np.array([*first, *stride], np.int64)
        _correlate(g, np.ascontiguousarray(part), bias, at, place, x)
    return x


def _phases(n: int, kernel: int, stride: int, low: int, dilation: int) -> list[tuple[Any, ...]]:
    """Along one axis of the image: for each phase that has cells and taps

    its first cell, its taps, the padding that g needs, where the taps then stand, its cells.
    """
    found: list[tuple[Any, ...]] = []
    for phase in range(stride):
        first = (phase - low) % stride
        taps = [t for t in range(kernel) if t * dilation % stride == phase]
        if first >= n or not taps:
            continue
        start = (first + low) // stride  # g[start - t * dilation // stride] meets the first cell
        shifts = [start - t * dilation // stride for t in taps]
        margin = max(0, -min(shifts))
        at = tuple(shift + margin for shift in shifts)
        found.append((first, taps, margin, at, -(-(n - first) // stride)))
    return found


def convolve_weight(
    g: Any, x: Any, kernel: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> Any:
    """The gradient of `convolve` for w: (groups, rows, channels, *kernel)."""
    batch, groups, rows = g.shape[:3]
    channels = x.shape[2]
    at = _forward_plan(batch, channels, x.shape[3:], kernel, g.shape[3:], stride, low, dilation)
    dw = np.zeros((min(at.packs, PARTS), groups, rows, len(at.offset)), x.dtype)
    run("weight_slopes", at.packs * dw[0].size * at.length, g, x, *at, dw)
    return dw.sum(axis=0).reshape(groups, rows, channels, *kernel)


def _correlate(x: Any, w: Any, bias: Any, at: Plan, place: Any, y: Any) -> None:
    run("correlate", at.packs * w.size * at.length, x, w, bias, *at, place, y)


# Running ------------------------------------------------------------------------------------------

_kernels: dict[tuple[str, str, bool], Any] = {}


def run(name: str, work: int, x: Any, *arguments: Any) -> None:
    """Run a kernel, on several threads if `work` multiply-adds are worth it."""
    kernel = _kernels.get((name, x.dtype.char, False))
    if kernel is None:
        kernel = cache.load(name, lambda on_disk: text(name, x.dtype.name, False, on_disk))
        _kernels[name, x.dtype.char, False] = kernel
    kernel(x, *arguments)


# The text of the kernels --------------------------------------------------------------------------


def text(name: str, dtype: str, parallel: bool, on_disk: bool) -> str:
    """The module that defines the kernel `name`."""
    inner = _sums() if name == "correlate" else _dots()
    parts = "from numba import njit, prange\nimport numpy as np\n", _PACKING, inner, _DRIVERS[name]
    settings = {
        "settings": f'error_model="numpy", nogil=True, cache={on_disk}',
        "parallel": parallel,
        "range": "prange" if parallel else "range",
        "dtype": dtype,
        "tile": TILE,
    }
    head = "# Written by tinygrad_opt.kernels.fused.convolution.\n"
    return head + "\n\n".join(parts).format(**settings)


def _blocks(heights: tuple[int, ...], widths: tuple[int, ...], block: Any) -> str:
    """Loops that cover R rows by K taps with blocks, the largest first."""
    lines = ["    r = 0"]
    for height in heights:
        lines += [f"    while r + {height} <= R:", "        k = 0"]
        for width in widths:
            lines.append(f"        while k + {width} <= K:")
            lines += [" " * 12 + line for line in block(height, width)]
            lines.append(f"            k += {width}")
        lines.append(f"        r += {height}")
    return "\n".join(lines) + "\n"


def _sums() -> str:
    """out[r, start:stop] += sum over k of w[r, k] x[offset[k] + start...]."""

    def block(height: int, width: int) -> list[str]:
        rows, taps = range(height), range(width)
        sums = ["".join(f" + w{i}_{j} * v{j}" for j in taps) for i in rows]
        return [
            *(f"y{i} = out[r + {i}][start:stop]" for i in rows),
            *(f"x{j} = x[offset[k + {j}] + start : offset[k + {j}] + stop]" for j in taps),
            *(f"w{i}_{j} = w[r + {i}, k + {j}]" for i in rows for j in taps),
            "for m in range(stop - start):",
            *(f"    v{j} = x{j}[m]" for j in taps),
            *(f"    a{i} = y{i}[m]{sums[i]}" for i in rows),
            *(f"    y{i}[m] = a{i}" for i in rows),
        ]

    return _SUMS_HEAD + _blocks((4, 1), (6, 3, 1), block)


def _dots() -> str:
    """out[r, k] += sum over m in start..stop of g[r, m] x[offset[k] + m]."""

    def block(height: int, width: int) -> list[str]:
        rows, taps = range(height), range(width)
        pairs = [(i, j) for i in rows for j in taps]
        return [
            *(f"g{i} = g[r + {i}][start:stop]" for i in rows),
            *(f"x{j} = x[offset[k + {j}] + start : offset[k + {j}] + stop]" for j in taps),
            *(f"a{i}_{j} = np.{{dtype}}(0)" for i, j in pairs),
            "for m in range(stop - start):",
            *(f"    v{j} = x{j}[m]" for j in taps),
            *(f"    h{i} = g{i}[m]" for i in rows),
            *(f"    a{i}_{j} += h{i} * v{j}" for i, j in pairs),
            *(f"out[r + {i}, k + {j}] += a{i}_{j}" for i, j in pairs),
        ]

    return _DOTS_HEAD + _blocks((4, 1), (4, 1), block)


_SUMS_HEAD = """\
@njit(fastmath={{"contract", "nsz"}}, {settings})
def sums(w, x, offset, start, stop, out):
    R, K = w.shape
"""

_DOTS_HEAD = """\
@njit(fastmath={{"contract", "nsz", "reassoc"}}, {settings})
def dots(g, x, offset, start, stop, out):
    R, K = out.shape
"""

# layout: the strides, the padding before the image and the size of a phase, for each of three axes;
# the samples in a pack; the cells of a phase of a channel, which holds those samples in turn.
_PACKING = """\
@njit({settings})
def pack(x, layout, sample, packed):
    # x (channels, depth, height, width) into the inside of packed (channels * phases * block)
    sd, sh, sw, pd, ph, pw, qd, qh, qw, together, block = layout
    C, D, H, W = x.shape
    for c in range(C):
        for d in range(D):
            for h in range(H):
                row = x[c, d, h]
                z, y = d + pd, h + ph
                phase = ((c * sd + z % sd) * sh + y % sh) * sw
                line = ((sample * qd + z // sd) * qh + y // sh) * qw
                if sw == 1:
                    first = phase * block + line + pw
                    to = packed[first : first + W]
                    for i in range(W):
                        to[i] = row[i]
                else:
                    for i in range(W):
                        packed[(phase + (i + pw) % sw) * block + line + (i + pw) // sw] = row[i]


@njit({settings})
def widen(g, layout, sample, wide):
    # g (rows, depth, height, width) laid out as the packed image is: wide (rows, length)
    R, D, H, W = g.shape
    for r in range(R):
        for d in range(D):
            for h in range(H):
                row = g[r, d, h]
                first = ((sample * layout[6] + d) * layout[7] + h) * layout[8]
                to = wide[r][first : first + W]
                for i in range(W):
                    to[i] = row[i]


@njit({settings})
def crop(wide, layout, sample, place, y):
    # the reverse of widen; to every step-th cell of y
    zd, zh, zw, sd, sh, sw = place
    R, D, H, W = y.shape
    for r in range(R):
        for d in range(zd, D, sd):
            for h in range(zh, H, sh):
                row = y[r, d, h]
                line = (sample * layout[6] + (d - zd) // sd) * layout[7] + (h - zh) // sh
                first = line * layout[8]
                if sw == 1:
                    source = wide[r][first : first + W]
                    for i in range(W):
                        row[i] = source[i]
                else:
                    for i in range(zw, W, sw):
                        row[i] = wide[r, first + (i - zw) // sw]
"""

_CORRELATE = """\
@njit("void({dtype}[:, :, :, :, :, ::1], {dtype}[:, :, ::1], {dtype}[:, ::1], int64[::1],"
      "int64[::1], int64, int64, int64, int64[::1], {dtype}[:, :, :, :, :, ::1])",
      parallel={parallel}, {settings})
def correlate(x, w, bias, layout, offset, cells, length, packs, place, y):
    N, G = x.shape[:2]
    R = w.shape[1]
    for p in {range}(packs):
        packed = np.zeros(cells, np.{dtype})
        wide = np.empty((R, length), np.{dtype})
        first = p * layout[9]
        samples = min(layout[9], N - first)
        for g in range(G):
            for n in range(samples):
                pack(x[first + n, g], layout, n, packed)
            for r in range(R):
                wide[r] = bias[g, r]
            for start in range(0, length, {tile}):
                sums(w[g], packed, offset, start, min(start + {tile}, length), wide)
            for n in range(samples):
                crop(wide, layout, n, place, y[first + n, g])
"""

_WEIGHT_SLOPES = """\
@njit("void({dtype}[:, :, :, :, :, ::1], {dtype}[:, :, :, :, :, ::1], int64[::1], int64[::1],"
      "int64, int64, int64, {dtype}[:, :, :, ::1])", parallel={parallel}, {settings})
def weight_slopes(g, x, layout, offset, cells, length, packs, dw):
    N, G = x.shape[:2]
    R, parts = g.shape[2], dw.shape[0]
    for part in {range}(parts):
        for p in range(part * packs // parts, (part + 1) * packs // parts):
            packed = np.zeros(cells, np.{dtype})
            wide = np.zeros((R, length), np.{dtype})
            first = p * layout[9]
            for group in range(G):
                for n in range(min(layout[9], N - first)):
                    pack(x[first + n, group], layout, n, packed)
                    widen(g[first + n, group], layout, n, wide)
                for start in range(0, length, {tile}):
                    stop = min(start + {tile}, length)
                    dots(wide, packed, offset, start, stop, dw[part, group])
"""

_DRIVERS = {"correlate": _CORRELATE, "weight_slopes": _WEIGHT_SLOPES}
