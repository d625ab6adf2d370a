"""Vectors of random numbers, each a function of a key and of its place: Philox-4x32-10.

A draw takes places of a stream, one for each block of four words of 32 bits. Sixteen blocks make a
tile: the first numbers of all sixteen, then their second numbers, ... So the words lie side by
side as SIMD registers and the threads of a GPU write them, and each number depends on the key and
on where it stands alone: not on threads, the machine or the device. The last tile may be cut.

The lines from words to numbers are one text for `@njit` and `@cuda.jit`. It is plain arithmetic
(`compiler/normals.py`): both give the same bits.

On a GPU the key and the place lie in the GPU's memory, two uint64, and a launch brings an offset
only. So a launch that was recorded draws other numbers once these two are written anew: see
`arrays/places.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import pool
from ..compiler import cache, draws
from ..compiler.normals import log_lines, normal_lines, portable

__all__ = ["KINDS", "Kind", "blocks", "draw", "draw_on_device", "text"]

TILE = 16  # blocks
STREAM = 0x7E4502  # the counter's third word, where the draws of update rules have a step
LARGE = 32_768  # numbers, from which on threads take parts


class Kind(NamedTuple):
    """A kind of random numbers.

    numbers: the letters of further arguments: d for a number of the dtype, q and Q for integers.
    words: how many a number takes, for float32 and for wider types.
    """

    numbers: str
    words: tuple[int, int]


KINDS = {
    "uniform": Kind("ddd", (1, 2)),  # low + width u, at most `last`
    "normal": Kind("dd", (1, 2)),  # mean, std
    "exponential": Kind("ddd", (1, 2)),  # scale, least, most
    "chosen": Kind("Qdd", (1, 1)),  # below with the probability threshold / 2^32, else above
    "integers": Kind("qQ", (2, 2)),  # low, number of integers, up to 2^32
    "wide_integers": Kind("qQ", (4, 4)),  # the same, up to 2^64, which is 0
}

_NAMES = {
    "uniform": ("low", "width", "last"),
    "normal": ("mean", "std"),
    "exponential": ("scale", "least", "most"),
    "chosen": ("threshold", "below", "above"),
    "integers": ("low", "count"),
    "wide_integers": ("low", "count"),
}

_SERIAL = """\
# Written by tinygrad_opt.kernels.fused.random_vectors.
import math

from numba import njit
from numpy import {types}


{numbers}@njit("{signature}", error_model="numpy", nogil=True, cache={cache})
def {name}(y, low_key, high_key, place, {given}):
{cast}    tiles = y.shape[0] // {width}
{tiles}
{rest}
"""

_SPLIT = """\
# Written by tinygrad_opt.kernels.fused.random_vectors.
import math

from numba import njit
from numpy import {types}

from tinygrad_opt.kernels.pool import share


{numbers}@njit(error_model="numpy", nogil=True)
def part(begin, end, y, low_key, high_key, place, {given}):
{cast}    y, place = y[begin * {width} :], place + begin * {tile}
    tiles = end - begin
{tiles}


@njit("{signature}", error_model="numpy", nogil=True, cache={cache})
def {name}(y, low_key, high_key, place, {given}):
    tiles = y.shape[0] // {width}
    share(part, tiles, {part}, {cost}, y, low_key, high_key, place, {given})
{cast}{rest}
"""

# What a block gives; inlined in both loops.
_NUMBERS = """\
@njit(error_model="numpy", nogil=True, forceinline=True)
def numbers(block, low_key, high_key, {given}):
{lines}
    return {found}


"""

_TILES = """\
    for tile in range(tiles):
        own = y[tile * {width} : tile * {width} + {width}]
        at = uint64(place + tile * {tile})
        for j in range({tile}):
            n = numbers(at + uint64(j), low_key, high_key, {given})
{stores}"""

_REST = """\
    left = y.shape[0] - tiles * {width}
    own = y[tiles * {width} :]
    for j in range(min(left, {tile})):
        n = numbers(uint64(place + tiles * {tile} + j), low_key, high_key, {given})
{stores}"""

_CUDA = """\
# Written by tinygrad_opt.kernels.fused.random_vectors.
import math

from numba import cuda, int64
from numpy import {types}

from tinygrad_opt.kernels.compiler.cuda import {bits}


@cuda.jit(cache={cache})
def {name}(y, state, blocks, offset, {given}):
    k = int64(cuda.blockIdx.x) * int64(cuda.blockDim.x) + int64(cuda.threadIdx.x)
    if k >= blocks:
        return
    low_key, high_key = state[0] & uint64(0xFFFFFFFF), state[0] >> uint64(32)
    block = state[1] + offset + uint64(k)
    first = (k // {tile}) * {width} + k % {tile}
{lines}
{stores}
"""


def blocks(kind: str, char: str, size: int) -> int:
    """How many places of a stream a draw of so many numbers takes: whole tiles.

    char: of the dtype, as NumPy calls it.
    """
    return -(-size * KINDS[kind].words[char != "f"] // (4 * TILE)) * TILE


def _lines(kind: str, dtype: str, on_device: bool) -> tuple[list[str], list[str]]:
    """The lines from `block` to the numbers of a block, and the expressions of these."""
    words = ["a", "b", "c", "d"]
    lines = [
        f"a = block & {draws.MASK}",
        "b = block >> uint64(32)",
        f"c, d = uint64({STREAM:#x}), uint64(0)",
        "k0, k1 = uint64(low_key), uint64(high_key)",
        *draws.rounds(words, ("k0", "k1"), ("_", "w0", "w1")),
    ]
    found = []
    if kind == "chosen":
        found = [f"below if {w} < threshold else above" for w in words]
    elif kind == "integers":
        for high, low in (("a", "b"), ("c", "d")):
            drawn = f"({high} * count + ({low} * count >> uint64(32))) >> uint64(32)"
            found.append(f"low + int64({drawn})")
    elif kind == "wide_integers":
        lines += _WIDE
        found = ["low + int64(half) + int64(drawn - half)"]
    else:
        of_floats, found = _floats(kind, dtype, words, on_device)
        lines += of_floats
    return lines, found


# The first 64 of the 128 random bits times `count`, and what carries over of the other 64. All
# products are of 32 bits each: none wraps around, which NumPy would warn of.
_WIDE = """\
n1, n0 = count >> uint64(32), count & uint64(0xFFFFFFFF)
low0 = c * n0 + (d * n0 >> uint64(32))
low1 = d * n1 + (low0 & uint64(0xFFFFFFFF))
above = c * n1 + (low0 >> uint64(32)) + (low1 >> uint64(32))
high0 = b * n0
high1 = a * n0 + (high0 >> uint64(32))
high2 = b * n1 + (high1 & uint64(0xFFFFFFFF))
drawn = a * n1 + (high1 >> uint64(32)) + (high2 >> uint64(32))
under = (high0 & uint64(0xFFFFFFFF)) + (above & uint64(0xFFFFFFFF))
over = (high2 & uint64(0xFFFFFFFF)) + (above >> uint64(32)) + (under >> uint64(32))
drawn = drawn + (over >> uint64(32)) if count > uint64(0) else (a << uint64(32)) + b
half = drawn >> uint64(1)
""".splitlines()


def _floats(
    kind: str, dtype: str, words: list[str], on_device: bool
) -> tuple[list[str], list[str]]:
    left, lines, names = list(words), [], []
    while left:
        above_zero = kind == "exponential" or (kind == "normal" and len(names) % 2 == 0)
        expression, count = draws.uniform(left, dtype, above_zero)
        names.append(f"u{len(names)}")
        lines.append(portable(f"{names[-1]} = {expression}", False))
        del left[:count]
    if kind == "uniform":
        found = [f"min({portable(f'{u} * width + low', on_device)}, last)" for u in names]
    elif kind == "exponential":
        for u in names:
            lines += log_lines(f"z{u}", u, dtype, on_device)
        drawn = [portable(f"-(scale * z{u})", on_device) for u in names]
        found = [f"min(max({z}, least), most)" for z in drawn]
    else:
        found = []
        for radius, angle in zip(names[::2], names[1::2], strict=True):
            pair = f"z{radius}", f"z{angle}"
            lines += normal_lines(pair, radius, angle, dtype, on_device)
            found += [portable(f"{z} * std + mean", on_device) for z in pair]
    return lines, found


def _indented(lines: Sequence[str], by: int) -> str:
    return "\n".join(" " * by + line for line in lines)


_BITS32 = "float_as_int as float_as_bits, int_as_float as bits_as_float, product32 as product"
_BITS64 = "double_as_long as float_as_bits, long_as_double as bits_as_float, product64 as product"
_PLAIN = {"d": "float64", "q": "int64", "Q": "int64"}


def text(kind: str, dtype: str, form: str, on_disk: bool) -> str:
    """The whole text of a kernel; form: "serial", "split" or "cuda"."""
    on_device = form == "cuda"
    lines, found = _lines(kind, dtype, on_device)
    names, letters = _NAMES[kind], KINDS[kind].numbers
    width = TILE * len(found)
    space = {
        "name": f"{kind}_{form}", "given": ", ".join(names), "tile": TILE, "width": width,
        "cache": on_disk,
        "types": ", ".join(sorted({"float32", "float64", "int64", "uint32", "uint64", dtype})),
    }  # fmt: skip
    if on_device:
        stores = []
        for i, number in enumerate(found):
            at = f"first + {i * TILE}" if i else "first"
            stores += [f"if {at} < y.shape[0]:", f"    y[{at}] = {number}"]
        bits = _BITS32 if dtype == "float32" else _BITS64
        return _CUDA.format(
            **space, bits=bits, lines=_indented(lines, 4), stores=_indented(stores, 4)
        )
    given = ", ".join(_PLAIN[letter] for letter in letters)
    casts = {"d": dtype, "q": "int64", "Q": "uint64"}
    cast = [f"{n} = {casts[letter]}({n})" for n, letter in zip(names, letters, strict=True)]
    at = [f"j + {i * TILE}" if i else "j" for i in range(len(found))]
    stores = [f"own[{place}] = n[{i}]" for i, place in enumerate(at)]
    cut = [stores[0], *(f"if {place} < left:\n            {store}"
                        for place, store in zip(at[1:], stores[1:], strict=True))]  # fmt: skip
    space |= {
        "numbers": _NUMBERS.format(
            lines=_indented(lines, 4), found=f"({', '.join(found)},)", **space
        ),
        "tiles": _TILES.format(stores=_indented(stores, 12), **space),
        "rest": _REST.format(stores=_indented(cut, 8), **space),
        "signature": f"void({dtype}[::1], int64, int64, int64, {given})",
        "cast": "".join(f"    {line}\n" for line in cast),
        "part": LARGE // 2 // width, "cost": pool.USUAL,
    }  # fmt: skip
    form_text = _SPLIT if form == "split" else _SERIAL
    return form_text.format(**space)


_kernels: dict[tuple[str, str, Any], Any] = {}


def draw(kind: str, y: Any, key: int, place: int, *numbers: float) -> None:
    """Fill `y`, NumPy's, contiguous and flat, with the numbers of `kind` from `place` on."""
    large = y.size >= LARGE
    if kind == "wide_integers" and numbers[1] >= 2**63:  # as its bits
        numbers = numbers[0], numbers[1] - 2**64
    try:
        kernel = _kernels[kind, y.dtype.char, large]
    except KeyError:
        form = "split" if large else "serial"
        load: Any = pool.load if large else cache.load
        name = y.dtype.name
        kernel = load(f"{kind}_{form}", lambda on_disk: text(kind, name, form, on_disk))
        _kernels[kind, y.dtype.char, large] = kernel
    kernel(y, key & 0xFFFFFFFF, key >> 32, place, *numbers)


def draw_on_device(kind: str, y: Any, state: Any, offset: int, *numbers: float) -> None:
    """Fill `y`, CuPy's, contiguous and not empty, with what `draw` gives from state[1] + offset on.

    state: two uint64 in the GPU's memory, the key and a place. They are read when the kernel runs:
    write them anew, and a recorded launch draws other numbers.
    """
    from ..compiler import cuda

    dtype, letters = y.dtype, KINDS[kind].numbers
    kinds = "qQ" + letters.replace("d", dtype.char)
    try:
        kernel = _kernels[kind, dtype.char, "cuda"]
    except KeyError:
        kernel = cache.load(
            f"{kind}_cuda", lambda on_disk: text(kind, dtype.name, "cuda", on_disk), cuda.made_by()
        )
        _kernels[kind, dtype.char, "cuda"] = kernel
    types = (np.dtype(letter).type for letter in kinds)
    count = blocks(kind, dtype.char, y.size)
    scalars = [t(x) for t, x in zip(types, (count, offset, *numbers), strict=True)]
    scalars[0] = int(scalars[0])
    cuda.launch_over(kernel, dtype.char + "Q", kinds, (y, state), scalars, None, 128)
