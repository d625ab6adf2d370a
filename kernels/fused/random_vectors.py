"""Vectors of random numbers, each a function of a key and of its place: Philox-4x32-10.

A draw takes places of a stream, one for each block of four words of 32 bits. Sixteen blocks make a
tile: the first numbers of all sixteen, then their second numbers, ... So the words lie side by
side as SIMD registers and the threads of a GPU write them, and each number depends on the key and
on where it stands alone: not on threads, the machine or the device. The last tile may be cut.

The lines from words to numbers are one text for `@njit` and `@cuda.jit`. It is plain arithmetic
(`compiler/normals.py`): both give the same bits.

On a GPU the key and the place lie in the GPU's memory, two uint64, and a launch brings an offset
only. So a launch that was recorded draws other numbers once these two are written anew: see
`arrays/stream_positions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import pool
from ..compiler import cache, draws
from ..compiler.normals import log_lines, normal_lines, portable

__all__ = ["KINDS", "TILE", "VECTORS", "Kind", "Vectors", "text"]

TILE = 16  # blocks
STREAM = 0x7E4502  # the counter's third word, where the draws of update rules have a step
LARGE = 32_768  # numbers, from which on threads take parts
THREADS = 128  # of a GPU's block


class Kind(NamedTuple):
    """A kind of random numbers.

    given: its arguments, each with a letter: d for the dtype, q and Q for integers.
    words: how many a number takes, for float32 and for other types.
    """

    given: dict[str, str]
    words: tuple[int, int] = (1, 2)

    @property
    def letters(self) -> str:
        """Those of all arguments."""
        return "".join(self.given.values())


KINDS = {
    # low + width u, at most `last`
    "uniform": Kind({"low": "d", "width": "d", "last": "d"}),
    "normal": Kind({"mean": "d", "std": "d"}),
    "exponential": Kind({"scale": "d", "least": "d", "most": "d"}),
    # `below` with the probability threshold / 2^32, else `above`
    "chosen": Kind({"threshold": "Q", "below": "d", "above": "d"}, (1, 1)),
    # from `low` on `count` numbers, up to 2^32; each as often as any other, to 2^-32 of that
    "integers": Kind({"low": "q", "count": "Q"}, (2, 2)),
    # the same, up to 2^64, which is 0, or as a number with a sign; to 2^-64
    "wide_integers": Kind({"low": "q", "count": "Q"}, (4, 4)),
}

_SERIAL = """\
# Written by tinygrad_opt.kernels.fused.random_vectors.
import math

from tinygrad_opt.kernels.direct import njit
from numpy import {types}


{numbers}@njit("{signature}", error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {name}(y, key, place, {given}):
{cast}
    tiles = y.shape[0] // {width}
{tiles}
{rest}
"""

_SPLIT = """\
# Written by tinygrad_opt.kernels.fused.random_vectors.
import math

from tinygrad_opt.kernels.direct import njit
from numpy import {types}

from tinygrad_opt.kernels.pool import share


{numbers}@njit(error_model="numpy", nogil=True)
def part(begin, end, y, key, place, {given}):
{cast}
    y, place = y[begin * {width} :], place + begin * {tile}
    tiles = end - begin
{tiles}


@njit("{signature}", error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {name}(y, key, place, {given}):
    tiles = y.shape[0] // {width}
    share(part, tiles, {part}, {cost}, y, key, place, {given})
{cast}
{rest}
"""

# What a block gives; inlined in both loops.
_NUMBERS = """\
@njit(error_model="numpy", nogil=True, forceinline=True)
def numbers(block, key, {given}):
{lines}
    return ({found},)


"""

_TILES = """\
    for tile in range(tiles):
        own = y[tile * {width} : tile * {width} + {width}]
        at = uint64(place + tile * {tile})
        for j in range({tile}):
            n = numbers(at + uint64(j), key, {given})
{stores}"""

_REST = """\
    left = y.shape[0] - tiles * {width}
    own = y[tiles * {width} :]
    for j in range(min(left, {tile})):
        n = numbers(uint64(place + tiles * {tile} + j), key, {given})
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
    key, block = state[0], state[1] + offset + uint64(k)
    first = (k // {tile}) * {width} + k % {tile}
{lines}
{stores}
"""


def _lines(kind: str, dtype: str, on_device: bool) -> tuple[list[str], list[str]]:
    """The lines from `block` to the numbers of a block, and the expressions of these."""
    words = ["a", "b", "c", "d"]
    lines = [
        f"a = block & {draws.MASK}",
        "b = block >> uint64(32)",
        f"c, d = uint64({STREAM:#x}), uint64(0)",
        f"k0, k1 = uint64(key) & {draws.MASK}, uint64(key) >> uint64(32)",
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
    left = list(words)
    lines: list[str] = []
    names: list[str] = []
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


def text(kind: str, dtype: str, form: str, on_disk: bool) -> str:
    """The whole text of a kernel; form: "serial", "split" or "cuda"."""
    lines, found = _lines(kind, dtype, form == "cuda")
    space = {
        "name": f"{kind}_{form}", "given": ", ".join(KINDS[kind].given), "tile": TILE,
        "width": TILE * len(found), "cache": on_disk,
        "types": ", ".join(sorted({"float32", "float64", "int64", "uint32", "uint64", dtype})),
    }  # fmt: skip
    if form == "cuda":
        space |= {"lines": _indented(lines, 4), "stores": _indented(_cuda_stores(found), 4)}
        return _CUDA.format(**space, bits=_BITS32 if dtype == "float32" else _BITS64)
    at = [f"j + {i * TILE}" if i else "j" for i in range(len(found))]
    stores = [f"own[{place}] = n[{i}]" for i, place in enumerate(at)]
    cut = [f"if {place} < left:\n            {store}"
           for place, store in zip(at[1:], stores[1:], strict=True)]  # fmt: skip
    types = {"d": dtype, "q": "int64", "Q": "uint64"}
    cast = [f"{name} = {types[letter]}({name})" for name, letter in KINDS[kind].given.items()]
    given = ", ".join("float64" if letter == "d" else "int64" for letter in KINDS[kind].letters)
    space |= {
        "numbers": _NUMBERS.format(lines=_indented(lines, 4), found=", ".join(found), **space),
        "tiles": _TILES.format(stores=_indented(stores, 12), **space),
        "rest": _REST.format(stores=_indented([stores[0], *cut], 8), **space),
        "signature": f"void({dtype}[::1], int64, int64, {given})",
        "cast": _indented(cast, 4),
        "part": LARGE // 2 // (TILE * len(found)), "cost": pool.USUAL,
    }  # fmt: skip
    return (_SPLIT if form == "split" else _SERIAL).format(**space)


def _cuda_stores(found: Sequence[str]) -> list[str]:
    lines = []
    for i, number in enumerate(found):
        at = f"first + {i * TILE}" if i else "first"
        lines += [f"if {at} < y.shape[0]:", f"    y[{at}] = {number}"]
    return lines


class Vectors:
    """The kernels of a kind and a dtype.

    tile: how many numbers a tile has.
    """

    def __init__(self, kind: str, dtype: str) -> None:
        self.kind, self.dtype = kind, dtype
        self.tile = TILE * 4 // KINDS[kind].words[dtype != "float32"]
        self._serial, self._split, self._cuda = None, None, None

    def draw(self, y: Any, key: int, place: int, numbers: tuple[float, ...]) -> None:
        """Fill `y`, NumPy's, flat, contiguous, with the numbers from `place` on.

        key: of 64 bits, as a number with a sign.
        """
        # Few numbers come from the kernel of many, too: from whichever is there.
        kernel = self._split if y.size >= LARGE else self._serial or self._split
        if kernel is None:
            kernel = self._load(y.size >= LARGE)
        kernel(y, key, place, *numbers)

    def _load(self, large: bool) -> Any:
        name, load = ("split", pool.load) if large else ("serial", cache.load)
        kernel = load(
            f"{self.kind}_{name}", lambda on_disk: text(self.kind, self.dtype, name, on_disk)
        )
        if large:
            self._split = kernel
        else:
            self._serial = kernel
        return kernel

    def draw_on_device(self, y: Any, state: Any, offset: int, numbers: tuple[float, ...]) -> None:
        """Fill `y`, CuPy's and not empty, with what `draw` gives from state[1] + offset on.

        state: two uint64 in the GPU's memory, the key and a place. They are read when the kernel
        runs: write them anew, and a recorded launch draws other numbers.
        """
        from ..compiler import cuda

        if self._cuda is None:
            self._cuda = cache.load(
                f"{self.kind}_cuda",
                lambda on_disk: text(self.kind, self.dtype, "cuda", on_disk),
                cuda.made_by(),
            )
        letter = y.dtype.char
        kinds = "qQ" + KINDS[self.kind].letters.replace("d", letter)
        count = -(-y.size // self.tile) * TILE
        scalars = [
            np.uint64(x % 2**64) if kind == "Q" else np.dtype(kind).type(x)
            for kind, x in zip(kinds[1:], (offset, *numbers), strict=True)
        ]
        arrays = y, state
        cuda.launch_over(self._cuda, letter + "Q", kinds, arrays, (count, *scalars), None, THREADS)


class _All(dict[tuple[str, str], Vectors]):
    def __missing__(self, key: tuple[str, str]) -> Vectors:
        kind, char = key
        made = self[key] = Vectors(kind, np.dtype(char).name)
        return made


VECTORS = _All()  # by kind and the dtype's letter
