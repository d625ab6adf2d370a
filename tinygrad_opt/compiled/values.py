"""What a trace consists of: values, each made once, and views of them as strides.

A `Value` is one result of the step: of a matrix product, of an element-wise function, of a sum. It
has a number, the values that it was made from, and the array that the traced run computed, from
which shapes and types are known. A view owns no memory: it is an offset and strides on its `root`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = ["SHORT", "CompileError", "Later", "Layout", "Value", "contiguous", "roots"]

Strides = tuple[int, ...]  # in elements


class CompileError(RuntimeError):
    """A step that cannot become one compiled function; the text says which line, and what to do."""


class _Short(dict[Any, str]):
    """The short names of types; CompileError for one that steps are not compiled for."""

    def __missing__(self, dtype: Any) -> str:
        if isinstance(dtype, np.dtype):
            raise CompileError(f"compile: tensors of {dtype.name} have no compiled form")
        return self[np.dtype(dtype)]


SHORT = _Short({np.dtype(name): name for name in ("f4", "f8", "i8", "i4", "i2", "i1", "u1")})
SHORT[np.dtype(bool)] = "b1"


class Layout:
    """Where the elements of a value lie in the memory of `root`: offset and strides."""

    __slots__ = ("offset", "root", "strides")

    def __init__(self, root: Value, offset: int, strides: Strides) -> None:
        self.root, self.offset, self.strides = root, offset, strides

    def is_whole(self, shape: tuple[int, ...]) -> bool:
        """Whether these are all elements of the root, in their order."""
        return (
            self.offset == 0
            and math.prod(shape) == self.root.size
            and _without_ones(shape, self.strides) == _without_ones(shape, contiguous(shape))
        )


def _without_ones(shape: tuple[int, ...], strides: Strides) -> Strides:
    return tuple(s for n, s in zip(shape, strides, strict=True) if n != 1)


class Later:
    """An array that is computed when somebody asks for it, as few do while a step is traced.

    make: a function of `sources`, Values (of which it gets the arrays) and other things.
    """

    __slots__ = ("dtype", "make", "shape", "sources")

    def __init__(
        self, shape: tuple[int, ...], dtype: Any, make: Callable[..., Any], *sources: Any
    ) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.make, self.sources = make, sources


class Value:
    """One result in a trace.

    number   its place in the order of computation
    op       what makes it: a name of NumPy's, or "input", "draw", "view", "matmul", "call" ...
    args     Values and Python numbers
    params   constants of the op: axes, types, indices
    source   its array in the traced run, or how to compute it; shape and dtype are its own
    layout   where its elements lie; of all but views its own memory, row-major
    name     for readers: from the path of the module that computed it
    """

    __slots__ = ("args", "dtype", "layout", "name", "number", "op", "params", "shape", "source")

    def __init__(
        self, number: int, op: str, args: tuple[Any, ...], params: dict[str, Any], source: Any,
        name: str = "", layout: Layout | None = None,
    ) -> None:  # fmt: skip
        self.number, self.op, self.args, self.params = number, op, args, params
        self.source, self.shape, self.dtype = source, tuple(source.shape), source.dtype
        SHORT[self.dtype]  # raises for a type that steps are not compiled for
        self.name = name
        self.layout = layout or Layout(self, 0, contiguous(self.shape))

    @property
    def data(self) -> Any:
        """Its array in the traced run."""
        waiting = [self]
        while waiting:  # no recursion: steps are deep
            value = waiting[-1]
            source = value.source
            missing = [] if not isinstance(source, Later) else [
                s for s in source.sources if isinstance(s, Value) and isinstance(s.source, Later)
            ]  # fmt: skip
            waiting += missing
            if not missing:
                if isinstance(source, Later):
                    given = (s.source if isinstance(s, Value) else s for s in source.sources)
                    with np.errstate(all="ignore"):
                        value.source = np.asarray(source.make(*given))
                waiting.pop()
        return self.source

    def forget(self) -> None:
        """Let go of its array, which nobody will ask for any more."""
        self.source = None

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def root(self) -> Value:
        """Who owns its memory."""
        return self.layout.root

    @property
    def is_constant(self) -> bool:
        """Whether it is a table that was made when the step was traced."""
        return "called" in self.root.params

    def __repr__(self) -> str:
        args = ", ".join(f"%{a.number}" if isinstance(a, Value) else repr(a) for a in self.args)
        return f"%{self.number}: {self.dtype}{list(self.shape)} = {self.op}({args})"


def contiguous(shape: Iterable[int]) -> Strides:
    """The strides of a row-major array, in elements."""
    strides, step = [], 1
    for n in reversed(tuple(shape)):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def roots(value: Value) -> list[Value]:
    """Whose memory a value is computed from."""
    return [a.root for a in value.args if isinstance(a, Value)]


def same(value: Value) -> Later:
    """The array of a value, row-major."""
    return Later(value.shape, value.dtype, lambda x: np.array(x, order="C"), value)


def is_of_integers(value: Value) -> bool:
    """Whether a value is made of integers alone: classes and indices, checked before any use."""
    return value.dtype.kind in "biu" and all(
        is_of_integers(a) for a in value.args if isinstance(a, Value)
    )


def strided(shape: tuple[int, ...], strides: Strides) -> Any:
    """A dummy array of bytes with this layout: NumPy finds out what views of it look like."""
    return np.lib.stride_tricks.as_strided(np.empty((), np.int8), shape, strides)


def reshaped(a: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """A view of a dummy in another shape. Raises ValueError where only a copy would do."""
    if _KNOWS_COPY:
        return np.reshape(a, shape, copy=False)
    seen = a.view()
    try:
        seen.shape = shape
    except AttributeError as error:
        raise ValueError(str(error)) from error
    return seen


_KNOWS_COPY = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


def are_boxes(args: tuple[Any, ...]) -> bool:
    """Whether two values are zeros but for parts: then so is their sum, if these do not overlap."""
    return all(isinstance(a, Value) and a.op == "boxes" for a in args) and (
        args[0].shape == args[1].shape
    )


def overlapping(shape: tuple[int, ...], indices: list[Any]) -> bool:
    """Whether two of these parts of an array have an element in common."""
    seen = np.zeros(shape, np.int8)
    for index in indices:
        seen[index] += 1
    return bool((seen > 1).any())
