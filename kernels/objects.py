"""Many of Python's objects looked at in one call of machine code, by the addresses they lie at.

A step looks at each parameter: whether its array, and that of its gradient, are those of the last
step. In Python that is three comparisons, and for a hundred parameters takes as long as the update
itself; to copy gradients that were assigned took four times that. What `walk` needs of CPython and
NumPy is where an object's slots lie, which is measured, and the layout of arrays that NumPy
promises to compiled extensions. Where something is not as it should be, there is no walk.
"""

# mypy: ignore-errors
from __future__ import annotations

import ctypes
import struct
import sys
import sysconfig
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import pool
from .compiler import cache

__all__ = ["AT_HOME", "GATHERED", "OTHERWISE", "copy", "fits", "keep", "layout", "walk", "word"]

AT_HOME, GATHERED, OTHERWISE = range(3)  # what `walk` finds

_WORD = ir.IntType(64)
_KIND, _LENGTH, _ITEMS = 8, 16, 24  # in an object, and in a list
_DATA, _NDIM, _SHAPE, _DTYPE, _FLAGS = 16, 24, 32, 56, 64  # in an array
_PLAIN = 0x101  # flags: contiguous, aligned
_NAMES = {
    "kind": _KIND, "items": _ITEMS, "length": _LENGTH, "dtype": _DTYPE, "ndim": _NDIM,
    "shape": _SHAPE, "flags": _FLAGS, "data": _DATA, "plain": _PLAIN, "at_home": AT_HOME,
    "gathered": GATHERED, "otherwise": OTHERWISE, "part": 1 << 18, "alone": 1 << 17,
    "speed": 24,  # bytes in a nanosecond
}  # fmt: skip


@intrinsic
def word(typing, address):
    """Return the word of 64 bits at an address."""

    def generate(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], _WORD.as_pointer()))

    return types.int64(types.int64), generate


@intrinsic
def copy(typing, target, source, size):
    """Copy `size` bytes from one address to another."""

    def generate(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        target, source = (builder.inttoptr(x, byte) for x in arguments[:2])
        cgutils.raw_memcpy(builder, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def keep(typing, address, value):
    """Put a word at an address."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], _WORD.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


# It holds the interpreter's lock: nobody changes or frees an object meanwhile.
_WALK = """\
# Written by tinygrad_opt.kernels.objects.
from tinygrad_opt.kernels.direct import njit
from tinygrad_opt.kernels.objects import copy, word
from tinygrad_opt.kernels.pool import even, share


@njit(nogil=True)
def copy_some(first, last, table, sources, buffer):
    for k in range(table.shape[0]):
        start = max(table[k, 4], first)
        stop = min(table[k, 4] + table[k, 5], last)
        if sources[k] != 0 and start < stop:
            copy(buffer + start, sources[k] + start - table[k, 4], stop - start)


@njit(nogil=True)
def bytes_of(array, width):
    bytes = width
    for j in range(word(array + {ndim}) & 0xFFFFFFFF):
        bytes = bytes * word(word(array + {shape}) + 8 * j)
    return bytes


@njit(nogil=True)
def is_fit(layout, array, bytes, buffer, size):
    if array == 0 or word(array + {kind}) != layout[3] or word(array + {dtype}) != layout[4]:
        return False
    if (word(array + {flags}) & {plain}) != {plain} or bytes_of(array, layout[5]) != bytes:
        return False
    start = word(array + {data})  # what is copied must not overwrite what is to be copied
    return start >= buffer + size or start + bytes <= buffer


@njit(nogil=True)
def is_free(tensor, place, lent):
    # Nobody kept the last gradient or its memory, and no pass of another thread writes there.
    held, memory_held = word(tensor) & 0xFFFFFFFF, word(place) & 0xFFFFFFFF
    return held <= 2 and memory_held <= 3 and word(lent + {length}) != 0


@njit("int64(int64, int64[::1], int64[:, ::1], int64[::1], int64, int64)", cache={cache})
def walk(given, layout, table, sources, buffer, size):
    if word(given + {length}) != table.shape[0]:
        return {otherwise}
    items, array, grad = word(given + {items}), layout[0], layout[1]
    away = 0
    for k in range(table.shape[0]):
        p, tensor, place, bytes = table[k, 0], table[k, 2], table[k, 3], table[k, 5]
        if word(items + 8 * k) != p:
            return {otherwise}
        if word(p + array) != table[k, 1] or word(tensor + array) != place:
            return {otherwise}
        g = word(p + grad)
        sources[k] = 0
        if g != tensor:
            if g == 0 or word(g + {kind}) != layout[2]:
                return {otherwise}
            new = word(g + array)
            if not is_fit(layout, new, bytes, buffer, size):
                return {otherwise}
            if not is_free(tensor, place, table[k, 6]):
                return {otherwise}
            away = 1
            sources[k] = word(new + {data})
    if away == 0:
        return {at_home}
    grain = size
    if size > {alone}:
        grain = even(size, {part})
    share(copy_some, size, max(grain, 1), grain // {speed}, table, sources, buffer)
    return {gathered}
"""


# A function as extensions have them: (self, addresses of the arguments, how many there are).
_FITS = """\
# Written by tinygrad_opt.kernels.objects.
from tinygrad_opt.kernels.direct import cfunc, njit
from tinygrad_opt.kernels.objects import keep, word


@njit(nogil=True)
def fit(layout, tensor, value):
    array, array_kind = word(layout), word(layout + 24)
    if word(value + {kind}) != word(layout + 16):
        return False
    own, given = word(tensor + array), word(value + array)
    if own == 0 or given == 0:
        return False
    if word(own + {kind}) != array_kind or word(given + {kind}) != array_kind:
        return False
    count = word(own + {ndim}) & 0xFFFFFFFF
    if word(given + {dtype}) != word(own + {dtype}) or word(given + {ndim}) & 0xFFFFFFFF != count:
        return False
    alike = True
    for j in range(count):
        alike = alike and word(word(own + {shape}) + 8 * j) == word(word(given + {shape}) + 8 * j)
    return alike


@cfunc("int64(int64, int64, int64)", cache={cache})
def fits(itself, arguments, count):
    layout = word(itself + {data})
    answer = word(layout + 40)
    if count == 2 and fit(layout, word(arguments), word(arguments + 8)):
        answer = word(layout + 32)
    keep(answer, word(answer) + word(layout + 48))
    return answer
"""


class _Method(ctypes.Structure):
    """CPython's description of a function."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )  # fmt: skip


_WITH_COUNT = 0x80  # flag: takes the addresses of arguments, and how many
_held: list[Any] = []  # what functions need, which last as long as the process


def fits(layout: Sequence[int]) -> Callable[[Any, Any], bool]:
    """Return a function of a tensor and of an object: whether that is a tensor of its kind.

    That is, their arrays are plain ones of the same shape and dtype. It takes a tenth of the time.
    layout: from `layout`.
    """
    counts = 0 if sys.version_info >= (3, 12) else 1  # from there on True is not counted
    words = np.array([*layout, id(True), id(False), counts], np.int64)
    code = cache.load("fits", lambda on_disk: _FITS.format(cache=on_disk, **_NAMES))
    method = _Method(b"fits", code.address, _WITH_COUNT, None)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    _held.append((code, method))
    return make(ctypes.addressof(method), words, None)


def walk() -> Any:
    """Return `walk(given, layout, table, sources, buffer, size)`.

    It says AT_HOME if the list at the address `given` holds the table's parameters, and these and
    their gradients lie in their places, GATHERED if gradients lay
    elsewhere and were copied there, and OTHERWISE if one is not a plain array of its size and
    dtype, or must not be copied; then nothing is changed.

    layout: from `layout`, its last two entries a dtype and its width.  buffer, size: where the flat
    gradient lies, and its bytes.  sources: memory for a word for each parameter.
    table: a row of seven for each: the addresses of the parameter, its array, the gradient in its
    place, that one's array; where in the flat gradient that begins, and its bytes; the address of a
    list that is empty while the place is lent. But for the parameter, they are held by two who look
    at them here, the array by the gradient, too.
    """
    pool.start()
    return cache.load("walk", lambda on_disk: _WALK.format(cache=on_disk, **_NAMES))


def layout(tensor: Any) -> list[int] | None:
    """Return where `array` and `_grad` lie in a tensor, and the addresses of the types of both.

    tensor: one whose array is a matrix, and its gradient a tensor. None where objects do not lie as
    `walk` has to find them.
    """
    if (
        sys.implementation.name != "cpython"
        or sysconfig.get_config_var("Py_GIL_DISABLED")
        or sys.byteorder != "little"
        or struct.calcsize("P") != 8
    ):
        return None
    found = [_place(tensor, tensor.array), _place(tensor, tensor._grad)]
    if None in found or not _is_as_promised(tensor.array):
        return None
    return [*found, id(type(tensor)), id(type(tensor.array))]


def _words(address: int, count: int) -> list[int]:
    return list((ctypes.c_int64 * count).from_address(address))


def _place(owner: Any, value: Any) -> int | None:
    """Where in an object the address of another lies, in bytes; None if not at one place."""
    words = _words(id(owner), type(owner).__basicsize__ // 8)
    return 8 * words.index(id(value)) if words.count(id(value)) == 1 else None


def _is_as_promised(array: Any) -> bool:
    """Whether an array has its parts where NumPy's header has them, and a list its length."""
    words = _words(id(array), type(array).__basicsize__ // 8)
    some = [array] * 3
    return (
        words[_KIND // 8] == id(type(array))
        and words[_DATA // 8] == array.ctypes.data
        and words[_NDIM // 8] & 0xFFFFFFFF == array.ndim
        and _words(words[_SHAPE // 8], array.ndim) == list(array.shape)
        and words[_DTYPE // 8] == id(array.dtype)
        and words[_FLAGS // 8] & _PLAIN == array.flags.num & _PLAIN
        and _words(id(some), 4)[_LENGTH // 8] == len(some)
        and _words(_words(id(some), 4)[_ITEMS // 8], len(some)) == [id(array)] * len(some)
    )
