"""`Traced`: stands for an array while a step is traced, and records what is asked of it.

It answers to the array protocol, so that the pairs of operations and their formulas run on it as
they stand. It carries the real array too: shapes, types and views come from NumPy itself. In-place
operators move the handle on to a new value, and all who hold the handle see that, as with arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.memory import address
from .trace import Trace, asked_by_user
from .values import (
    CompileError,
    Later,
    Layout,
    Value,
    are_boxes,
    contiguous,
    is_of_integers,
    overlapping,
    reshaped,
    same,
    strided,
)

__all__ = ["Traced", "active", "data_of", "elementwise", "is_plain", "value_of"]


class _Active:
    """The trace that is being made; one at a time."""

    trace: Trace | None = None


active = _Active()


def current() -> Trace:
    """The trace that is being made; CompileError where a traced tensor outlived its trace."""
    if active.trace is None:
        raise CompileError(
            "compile: a tensor that a compiled step made was kept by the step itself, in an "
            "attribute or a list, and is used after it; return it from the step instead"
        )
    return active.trace


def value_of(x: Any) -> Any:
    """The Value of an array or Traced; Python numbers as they are."""
    if isinstance(x, Traced):
        return x.value
    if isinstance(x, np.ndarray):
        return x.item() if x.ndim == 0 else current().lift(x)
    return x.item() if isinstance(x, np.generic) else x


def data_of(x: Any) -> Any:
    """The real array behind a Traced."""
    return x.value.data if isinstance(x, Traced) else x


def elementwise(name: str, function: Callable[..., Any], *xs: Any) -> Traced:
    """A function of NumPy's on elements, recorded by name; of constants, computed at once."""
    if not any(isinstance(x, Traced) for x in xs):
        return function(*xs)
    trace = current()
    data = _computed(function, [x.value if isinstance(x, Traced) else x for x in xs])
    args = tuple(map(value_of, xs))
    for x, other in ((0, 1), (1, 0)) if name in ("add", "multiply") else ((0, 1),):
        if name in _NEUTRAL and _is(args[other], _NEUTRAL[name]):
            kept = args[x]
            same = isinstance(kept, Value) and (kept.shape, kept.dtype) == (data.shape, data.dtype)
            if same and kept.root.op != "input":  # which may be written to later
                return Traced(kept)
    if name == "where" and _is(args[2], 0) and trace.is_masked_already(args[1], args[0]):
        return Traced(args[1])
    if name == "add" and are_boxes(args):
        indices = [index for part in args for index in part.params["indices"]]
        if data.dtype == args[0].dtype and not overlapping(data.shape, indices):
            parts = (*args[0].args, *args[1].args)
            return Traced(trace.emit("boxes", parts, {"indices": indices}, data))
    return Traced(trace.emit(name, args, {}, data))


def _computed(function: Callable[..., Any], xs: list[Any]) -> Later:
    """What a function of elements makes of Values, arrays and numbers."""
    if len(xs) == 1 and not isinstance(function, np.ufunc) and xs[0].dtype.kind == "f":
        dtype = xs[0].dtype  # a kernel of ours, which would have to be compiled to be asked
    else:  # NumPy says of which type it is: for no elements, that costs nothing
        of_none = [np.empty(0, x.dtype) if isinstance(x, (Value, np.ndarray)) else x for x in xs]
        with np.errstate(all="ignore"):
            dtype = function(*of_none).dtype
    shape = np.broadcast_shapes(*[np.shape(x) if not isinstance(x, Value) else x.shape for x in xs])
    return Later(shape, dtype, function, *xs)


def _is(x: Any, number: float) -> bool:
    return not isinstance(x, Value) and type(x) in (int, float) and x == number


def view(x: Traced, make: Callable[[Any], Any]) -> Traced:
    """`make`, a function that NumPy answers with a view, of x; of a copy where it cannot."""
    try:
        return Traced(seen_through(x.value, make), x, make)
    except ValueError:  # not without a copy
        return view(copied(x), make)


def seen_through(value: Value, make: Callable[[Any], Any]) -> Value:
    """The Value of a view. Raises ValueError where only a copy would do."""
    layout = value.layout
    dummy = strided(value.shape, layout.strides)
    seen = make(dummy)
    start = address(dummy)
    moved = address(seen) - start if seen.size else 0
    found = Layout(layout.root, layout.offset + moved, seen.strides)
    if found.is_whole(seen.shape) and seen.shape == found.root.shape:
        return found.root
    data = Later(seen.shape, value.dtype, lambda x: _on_data(x, make), value)
    return current().emit("view", (found.root,), {}, data, found)


def _on_data(data: Any, make: Callable[[Any], Any]) -> Any:
    try:
        return make(data)
    except ValueError:
        return make(np.ascontiguousarray(data))


def copied(x: Traced) -> Traced:
    """A copy, row-major."""
    return Traced(current().emit("copy", (x.value,), {}, same(x.value)))


def reduced(op: str, x: Any, axis: Any, keepdims: bool, dtype: Any = None) -> Any:
    """The sum ("sum"), maximum ("amax") or minimum ("amin") over axes."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(sorted(a % max(x.ndim, 1) for a in axes))
    if not x.ndim:
        return x if dtype is None else x.astype(dtype)
    function = getattr(np, op)
    own = function(np.ones(1, x.dtype)).dtype
    if dtype is not None or (op == "sum" and own != x.dtype):
        x = x.astype(dtype or own)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    data = Later(shape, x.dtype, lambda a: function(a, axis=axes, keepdims=True), x.value)
    y = Traced(current().emit(op, (x.value,), {"axes": axes}, data))
    return y if keepdims else y.reshape([n for i, n in enumerate(x.shape) if i not in axes])


class Traced:
    """A handle to a Value; of a view, with the handle that it looks into.

    A write moves the handle on to a new value. One through a view moves on what it looks into as
    well, and a view of what was written sees the new value.
    """

    __slots__ = ("__weakref__", "_make", "_parent", "_seen", "_value")
    _namespace: Any  # set in `namespace.py`
    device = "cpu"

    def __init__(self, value: Value, parent: Traced | None = None, make: Any = None) -> None:
        self._value, self._parent, self._make = value, parent, make
        self._seen = None if parent is None else parent.final  # what it was derived from

    @property
    def value(self) -> Value:
        """What it stands for now."""
        current()
        return self.final

    @property
    def final(self) -> Value:
        """What it stands for, also after the trace."""
        if self._parent is not None:
            whole = self._parent.final
            if whole is not self._seen:  # it was written to
                self._value, self._seen = seen_through(whole, self._make), whole
        return self._value

    def move(self, value: Value) -> None:
        """Let it stand for another value: what an in-place operator does."""
        if self._parent is None:
            self._value = value
            return
        whole = self._parent.final
        dummy = strided(whole.shape, contiguous(whole.shape))
        box = self._make(dummy)
        if 0 in [s for n, s in zip(box.shape, box.strides, strict=True) if n > 1]:
            current().refuse("writes to a tensor that was expanded, where elements share memory")
        if box.shape == whole.shape and box.strides == dummy.strides:
            self._parent.move(value)
            self._value, self._seen = value, self._parent.final
            return
        start = address(box) - address(dummy)
        shape, steps = box.shape, tuple(s * whole.dtype.itemsize for s in box.strides)

        def put(old: Any, new: Any) -> Any:
            found = np.array(old, order="C")
            part = found.reshape(-1)[start:]
            np.lib.stride_tricks.as_strided(part, shape, steps)[...] = new
            return found

        data = Later(whole.shape, whole.dtype, put, whole, value)
        params = {"box": (start, box.strides)}
        self._parent.move(current().emit("put", (whole, value), params, data))
        self._seen = None  # derive anew

    # What it is -----------------------------------------------------------------------------------

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: len(self.value.shape))
    size = property(lambda self: self.value.size)
    itemsize = property(lambda self: self.value.dtype.itemsize)
    nbytes = property(lambda self: self.value.size * self.value.dtype.itemsize)
    strides = property(lambda self: tuple(s * self.itemsize for s in self.value.layout.strides))
    flags = property(lambda self: strided(self.value.shape, self.value.layout.strides).flags)
    base = property(lambda self: self._parent)
    data = property(lambda _: current().refuse("writes to part of a tensor that has a history, "
                                               "where views of it are in the graph"))  # fmt: skip
    T = property(lambda self: self.transpose())

    def __len__(self) -> int:
        return self.value.shape[0]

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    # Views and copies -----------------------------------------------------------------------------

    def reshape(self, *shape: Any, **_: Any) -> Traced:
        if len(shape) == 1 and not isinstance(shape[0], int):
            shape = tuple(shape[0])
        whole = np.empty(self.value.shape, np.int8).reshape(shape).shape
        return view(self, lambda a: reshaped(a, whole))

    def ravel(self) -> Traced:
        return self.reshape(-1)

    flatten = ravel

    def transpose(self, *axes: Any) -> Traced:
        return view(self, lambda a: a.transpose(*axes))

    def swapaxes(self, a: int, b: int) -> Traced:
        return view(self, lambda x: x.swapaxes(a, b))

    def squeeze(self, axis: Any = None) -> Traced:
        return view(self, lambda a: a.squeeze(axis))

    def copy(self, order: str = "C") -> Traced:
        return copied(self)

    __copy__ = copy

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        if np.dtype(dtype) == self.dtype:
            return Traced(self.value)
        data = Later(self.shape, dtype, lambda a: a.astype(dtype), self.value)
        return Traced(current().emit("astype", (self.value,), {"dtype": data.dtype.name}, data))

    def view(self, *_: Any) -> Any:
        current().refuse("looks at the bits of a tensor")

    def __getitem__(self, index: Any) -> Traced:
        parts = index if isinstance(index, tuple) else (index,)
        if all(p is None or p is Ellipsis or is_plain(p) for p in parts):
            return view(self, lambda a: a[(*parts, ...) if Ellipsis not in parts else parts])
        return self._namespace.take(self, parts)

    def __setitem__(self, index: Any, new: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        if not isinstance(new, Traced):
            new = self._namespace.full((), new, self.dtype)
        whole = all(p is Ellipsis or (isinstance(p, slice) and p == slice(None)) for p in parts)
        self.move(
            self._namespace.broadcast_to(new, self.shape).astype(self.dtype).value
            if whole
            else self._namespace.put(self, new, index).value
        )

    # Reductions -----------------------------------------------------------------------------------

    def sum(self, axis: Any = None, dtype: Any = None, **settings: Any) -> Any:
        return reduced("sum", self, axis, settings.get("keepdims", False), dtype)

    def max(self, axis: Any = None, **settings: Any) -> Any:
        return reduced("amax", self, axis, settings.get("keepdims", False))

    def min(self, axis: Any = None, **settings: Any) -> Any:
        return reduced("amin", self, axis, settings.get("keepdims", False))

    def mean(self, axis: Any = None, **settings: Any) -> Any:
        total = reduced("sum", self, axis, settings.get("keepdims", False))
        return total * (total.size / max(self.size, 1))

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        return reduced("sum", self.astype(np.int64), axis, keepdims) > 0

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        zero: Any = self == 0
        return reduced("sum", zero.astype(np.int64), axis, keepdims) == 0

    def clip(self, low: Any = None, high: Any = None, out: Any = None) -> Traced:
        made = self._namespace.clip(self, low, high)
        if out is not None:
            out[...] = made
        return made

    def dot(self, other: Any) -> Any:
        return self._namespace.matmul(self, other)

    __matmul__ = dot

    def __rmatmul__(self, other: Any) -> Any:
        return self._namespace.matmul(other, self)

    __hash__ = object.__hash__

    # What a compiled step cannot do ---------------------------------------------------------------

    def item(self, *_: Any) -> Any:
        current().refuse(
            "reads a value (.item(), float(), .numpy(), print, if, while), and what follows in "
            "Python would depend on it. A compiled step runs no Python in between: return the "
            "tensor and look at it after the call, or use where()"
        )

    __float__ = __int__ = __index__ = __complex__ = tolist = item

    def __array__(self, *_: Any, **__: Any) -> Any:
        self.item()

    def __repr__(self) -> str:
        return str(self.item()) if active.trace is not None else f"<{self.value}>"

    __format__ = lambda self, _: repr(self)  # noqa: E731

    def __bool__(self) -> bool:
        integers = is_of_integers(self.value)
        # A check of the package's own, such as whether probabilities lie in [0, 1], is looked at in
        # each call as well, as long as nothing has been written that could not be done again.
        if self.size == 1 and (integers or not (current().updates or asked_by_user())):
            found = bool(self.value.data)
            current().assumed.append((self.value, found))
            return found
        current().refuse(
            "asks whether a tensor is true (if, while, and, or, assert), and what follows in "
            "Python would depend on it. A compiled step runs no Python in between: use where()"
        )

    # NumPy's functions on it ----------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        if method == "reduce" and ufunc in _REDUCTIONS:
            return getattr(self, _REDUCTIONS[ufunc])(
                settings.get("axis", 0), keepdims=settings.get("keepdims", False)
            )
        if method != "__call__" or settings.get("where", True) is not True:
            current().refuse(f"calls numpy.{ufunc.__name__}.{method}, which has no compiled form")
        made = getattr(self._namespace, ufunc.__name__)(*inputs)
        dtype, out = settings.get("dtype"), settings.get("out")
        if dtype is not None:
            made = made.astype(dtype)
        if out is None:
            return made
        out[0][...] = made
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, settings: Any) -> Any:
        return self._namespace.numpys(function, args, settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'Traced' object has no attribute {name!r}")
        return functools.partial(getattr(self._namespace, name), self)


def is_plain(part: Any) -> bool:
    return isinstance(part, slice) or (isinstance(part, (int, np.integer)) and part is not True)


_NEUTRAL = {"add": 0, "subtract": 0, "multiply": 1, "divide": 1}
_REDUCTIONS = {np.add: "sum", np.maximum: "max", np.minimum: "min", np.logical_or: "any",
               np.logical_and: "all"}  # fmt: skip
