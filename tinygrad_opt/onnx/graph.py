"""Building an ONNX graph: nodes, constants, lengths that are free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import OnnxExporterError
from .sizes import Size, fitted

__all__ = ["Graph", "Value"]

END = 2**63 - 1


class Value:
    """A tensor in the graph: `shape` of ints and Sizes, `dtype`, and `array` where it is constant.

    Its name stands in the graph once somebody asks for it.
    """

    def __init__(
        self, graph: Graph, name: str, shape: tuple[Any, ...], dtype: Any, array: Any = None
    ) -> None:
        self.graph, self._name, self.shape, self.dtype = graph, name, shape, np.dtype(dtype)
        self.array = array

    @property
    def name(self) -> str:
        """The name in the graph; a constant is written there now."""
        if self.array is not None:
            self._name = self.graph.constant(self.array, self._name)
        return self._name

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)


class Graph:
    """A graph in the making: `graph("Add", a, b)` adds a node and answers its output's name.

    Inputs are Values, names, or None for one that is left out; attributes are given by name.
    """

    def __init__(self, onnx: Any, opset: int, runs: list[dict[str, int]]) -> None:
        self.onnx, self.opset, self.runs = onnx, opset, runs
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.axes: dict[str, tuple[str, int]] = {}  # of a free axis: an input, and its place there
        self._made = 0
        self._names: dict[Any, str] = {}
        self.what = ""  # the operation that is being written, for errors

    def __call__(self, op: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        names = [x.name if isinstance(x, Value) else "" if x is None else x for x in inputs]
        while names and not names[-1]:
            names.pop()
        made = [self.new(op.lower()) for _ in range(outputs)]
        given = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(self.onnx.helper.make_node(op, names, made, name=made[0], **given))
        return made[0] if outputs == 1 else tuple(made)

    def new(self, stem: str) -> str:
        """A name that is not taken."""
        self._made += 1
        return f"{stem}_{self._made}"

    def constant(self, array: Any, name: str = "") -> str:
        """The name of an initializer; equal small ones are one."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 else id(array)
        if name and name in self.initializers:
            return name
        if not name:
            known = self._names.get(key)
            if known is not None:
                return known
            name = self._names[key] = self.new("constant")
        self.initializers[name] = array
        return name

    def scalar(self, value: Any, dtype: Any) -> str:
        """A number of a type."""
        return self.constant(np.asarray(value, dtype=dtype))

    # Lengths --------------------------------------------------------------------------------------

    def ints(self, values: Sequence[Any]) -> str:
        """A 1-D int64 tensor of numbers, some of which may be Sizes."""
        if not any(isinstance(v, Size) for v in values):
            return self.constant(np.array(values, dtype=np.int64))
        return self("Concat", *(self._length(v) for v in values), axis=0)

    def shape(self, values: Sequence[Any]) -> str:
        """Like `ints`, for Reshape: a single length that is free is -1."""
        free = [v for v in values if isinstance(v, Size)]
        if len(free) == 1 and -1 not in values and 0 not in values:
            values = [-1 if isinstance(v, Size) else v for v in values]
        return self.ints(values)

    def _length(self, value: Any) -> str:
        """One number as a 1-D tensor of one element."""
        if not isinstance(value, Size):
            return self._number(value)
        known = self._names.get(value)
        if known is not None:
            return known
        total = ""
        for axes, factor in fitted(value, self.runs, self.what).items():
            part: Any = self._number(factor) if factor != 1 or not axes else None
            for axis in axes:
                size = self._axis(axis)
                part = size if part is None else self("Mul", part, size)
            total = str(self("Add", total, part) if total else part)
        self._names[value] = total
        return total or self._number(0)

    def _number(self, value: int) -> str:
        return self.constant(np.array([value], dtype=np.int64))

    def _axis(self, axis: str) -> str:
        known = self._names.get(("axis", axis))
        if known is None:
            name, place = self.axes[axis]
            shape = self("Shape", name)
            known = self("Gather", shape, self.constant(np.array([place], dtype=np.int64)), axis=0)
            self._names["axis", axis] = known
        return known

    def length(self, value: Any, dtype: Any) -> str:
        """A length as a 0-d tensor of a type."""
        if not isinstance(value, Size):
            return self.scalar(value, dtype)
        flat = self("Reshape", self._length(value), self.constant(np.array([], dtype=np.int64)))
        return self.cast(flat, dtype)

    # Types ----------------------------------------------------------------------------------------

    def type_of(self, dtype: Any) -> int:
        """ONNX's number of a type."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def cast(self, x: Any, dtype: Any) -> str:
        """x in a type."""
        if isinstance(x, Value) and x.dtype == dtype:
            return x.name
        return self("Cast", x, to=self.type_of(dtype))

    def operand(self, x: Any, dtype: Any) -> Any:
        """A Value or a number as an operand of a type."""
        if isinstance(x, Size):
            return self.length(x, dtype)
        return self.cast(x, dtype) if isinstance(x, Value) else self.scalar(x, dtype)

    # What several operations need -----------------------------------------------------------------

    def reshaped(self, x: Any, shape: Sequence[Any]) -> str:
        """x in a shape."""
        return self("Reshape", x, self.shape(shape))

    def sliced(
        self, x: Any, axes: Sequence[int], starts: Sequence[Any], stops: Sequence[Any],
        steps: Sequence[int] | None = None,
    ) -> str:  # fmt: skip
        """x[..., start:stop:step, ...] along axes."""
        step = None if steps is None or set(steps) == {1} else self.ints(steps)
        return self("Slice", x, self.ints(starts), self.ints(stops), self.ints(axes), step)

    def reduced(self, op: str, x: Any, axes: Any, keep: bool) -> str:
        """A reduction; up to opset 17 all but ReduceSum have their axes as an attribute."""
        if op == "ReduceSum" or self.opset >= 18:
            places = None if axes is None else self.ints(axes)
            return self(op, x, places, keepdims=int(keep))
        return self(op, x, axes=axes, keepdims=int(keep))

    def varying(self, arrays: Sequence[Any]) -> Value:
        """A constant whose shape follows the inputs: of one number, counting up, or a triangle.

        Raises OnnxExporterError for other contents.
        """
        first = arrays[0]
        shape = tuple(
            n[0] if len(set(n)) == 1 else Size(n)
            for n in zip(*(a.shape for a in arrays), strict=True)
        )  # fmt: skip
        values = {a.flat[0].item() for a in arrays if a.size}
        made = None
        if len(values) == 1 and all((a == a.flat[0]).all() for a in arrays if a.size):
            made = self("Expand", self.scalar(first.flat[0], first.dtype), self.ints(shape))
        elif first.ndim == 1 and all(_counts(a, max(arrays, key=len)) for a in arrays):
            longest = max(arrays, key=len)
            start, step = longest[0], longest[1] - longest[0]
            counted = self("Range", self.scalar(0, np.int64), self.length(shape[0], np.int64),
                           self.scalar(1, np.int64))  # fmt: skip
            typed = self("Cast", counted, to=self.type_of(first.dtype))
            scaled = self("Mul", typed, self.scalar(step, first.dtype))
            made = self("Add", scaled, self.scalar(start, first.dtype))
        if made is None:
            raise OnnxExporterError(
                f"{self.what} takes a tensor of shape {list(first.shape)} that is another one for "
                "other inputs, and was made from data, at random, or outside of the operations "
                "that are followed (NumPy, .numpy()). Make it of arange, zeros, ones, full and "
                "operations, or register it as a buffer"
            )
        return Value(self, made, shape, first.dtype)


def _counts(a: Any, longest: Any) -> bool:
    """Whether a is the beginning of what counts up in even steps."""
    if len(longest) < 2 or a.dtype.kind not in "iuf" or len(a) > len(longest):
        return False
    even = longest[0] + np.arange(len(longest)) * (longest[1] - longest[0])
    return np.array_equal(longest, even.astype(longest.dtype)) and np.array_equal(
        a, longest[: len(a)]
    )
