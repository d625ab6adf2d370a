"""Recording: `@op` turns a forward/pullback pair into an operation on Tensors.

    @op
    def tanh(x):
        y = xp(x).tanh(x)
        return y, lambda g: g * (1 - y * y)

The pair sees raw arrays. It returns the forward value, then one pullback per input: a function
from the gradient of the output to the gradient of that input. Backward calls only those it needs,
and sums what they return down to the input's shape, so a pullback ignores broadcasting.

What is recorded is a Node (`node.py`): the operation, its inputs and its pullbacks.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.quiet import busy, quiet, run
from ..arrays.rowsparse import RowSparse
from ..arrays.xp import xp
from .errors import explain
from .half import EXACT, HALF, fits_half, in_float32
from .node import Node, Variable, next_rank
from .promote import result_type, settle, settle_pair

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["Node", "Variable", "is_grad_enabled", "op", "wrap_as", "wrap_plain"]


_ndarray = np.ndarray


_FLOAT32 = np.dtype("float32")


_PACKAGE = __name__.partition(".")[0] + "."


_SEQUENCES = (list, tuple)


_PROMOTED = (np.dtype("float64"), np.dtype("float16"))  # what NumPy may promote to by itself

# The classes Tensor and SparseTensor; set by the functions below once these exist.
_Tensor: Any


_SparseTensor: Any


_new: Any = object.__new__


def use_tensor_class(tensor_class: type) -> None:
    """Tells the recorder which class to make results of (`_tensor.py` stands above this file)."""
    global _Tensor
    _Tensor = tensor_class


def use_sparse_class(sparse_class: type) -> None:
    """As `use_tensor_class`, for what holds a RowSparse."""
    global _SparseTensor
    _SparseTensor = sparse_class


def _wrap(array: Any) -> Any:
    """A Tensor over a raw array, past the constructor, whose meaning is PyTorch's."""
    made = _new(_Tensor)
    made.array = array
    made._requires_grad = False
    made.node = made._grad = None
    return made


def wrap_recorded(value: Any, node: Node) -> Any:
    """The Tensor that `node` has made."""
    return wrap_as(_Tensor, value, True, node)


def record_plainly(
    value: Any, op: Any, inputs: Any, targets: Any, params: dict[str, Any], output: Any
) -> Any:
    """The Tensor of a value with its Node. (To call constructors takes half as long again.)"""
    node = _new(Node)
    node.op = op
    node.inputs = inputs
    node.targets = targets
    node.params = params
    node.output = output
    node.rank = next_rank()
    node.hooks = None
    made = _new(_Tensor)
    made.array = value
    made._requires_grad = True
    made.node = node
    made._grad = None
    return made


record: Callable[..., Any] = record_plainly  # anomaly detection exchanges it


def wrap_as(kind: type, array: Any, requires_grad: bool = False, node: Node | None = None) -> Any:
    """A tensor of the class `kind` over a raw array or RowSparse."""
    made = _new(kind)
    made.array, made._requires_grad, made.node, made._grad = array, requires_grad, node, None
    return made


def wrap_plain(array: Any) -> Tensor:
    """A Tensor over a raw array, NumPy scalar or RowSparse, without history."""
    if type(array) is _ndarray:
        return _wrap(array)
    if type(array) is RowSparse:
        return wrap_as(_SparseTensor, array)
    return _wrap(np.asarray(array) if isinstance(array, np.generic) else array)


def op(pair: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """Makes a differentiable operation of a forward/pullback pair.

    `pair`: positional arguments are inputs (arrays, scalars or None), keyword-only arguments are
    constants. It returns `value, pullback_of_input_0, pullback_of_input_1, ...`; None stands for
    an input that has no gradient.

    The operation takes Tensors, arrays and Python scalars. With a Tensor among its inputs it
    returns a Tensor, recorded if one of them requires a gradient; without one it returns what the
    pair computed, so pullbacks may use operations too.

    >>> @op
    ... def cube(x):
    ...     return x * x * x, lambda g: g * 3 * x * x
    >>> x = tensor([2.0], requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    tensor([12.])
    """
    parameters = inspect.signature(pair).parameters.values()
    plain = all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    make = {1: _unary, 2: _binary}.get(len(parameters) if plain else 0, _general)
    operation: Any = functools.wraps(pair)(make(pair))
    operation.__name__ = pair.__name__.lstrip("_")
    operation.pair = pair
    return operation


def renamed(operation: Any, parameters: tuple[str, ...], refuse: Callable[..., None]) -> Any:
    """A twin of an operation of one or two inputs, which are called `parameters` and given by name.

    It asks `refuse(*inputs)`, which may raise, where an input is no Tensor; that costs nothing
    where all are. The graph records the operation itself.
    """
    twin: Any = {1: _unary, 2: _binary}[len(parameters)](operation.pair, refuse, operation)
    code = twin.__code__
    names = (*parameters, *code.co_varnames[len(parameters) :])
    twin.__code__ = code.replace(co_varnames=names, co_posonlyargcount=0)
    return twin


# Three times the same function: unpacking a known number of inputs, with no keywords to collect and
# no call in between, is what keeps recording near a microsecond.

_NO_PARAMS: dict[str, Any] = {}


def _unary(pair: Any, refuse: Any = None, recorded: Any = None) -> Callable[..., Any]:
    call = _caller(pair)

    def operation(x: Any, /) -> Any:
        if type(x) is not _Tensor and not isinstance(x, Variable):
            if refuse is not None:
                refuse(x)
            return pair(x)[0]
        try:
            output = call(pair, x.array)
        except (TypeError, ValueError, RuntimeError) as error:
            output = _again(error, pair, (x,), (x.array,))
        y = output[0]
        if type(y) is not _ndarray or y.dtype is not _FLOAT32:
            y, settled = _settled(recorded, (x,), _NO_PARAMS, y)
            if settled is not None:
                return settled
        if x._requires_grad and mode.enabled:
            inputs = (x,)
            return record(y, recorded, inputs, inputs, _NO_PARAMS, output)
        return _wrap(y)

    recorded = recorded or operation
    return operation


def _binary(pair: Any, refuse: Any = None, recorded: Any = None) -> Callable[..., Any]:
    call = _caller(pair)

    def operation(x: Any, y: Any, /) -> Any:
        inputs = (x, y)
        targets: Any = None
        odd: Any = None  # for two Tensors: whether one is not of float32
        if type(x) is _Tensor or isinstance(x, Variable):
            a = x.array
            if type(y) is _Tensor or isinstance(y, Variable):
                b = y.array
                odd = a.dtype is not _FLOAT32 or b.dtype is not _FLOAT32
                if y._requires_grad:
                    targets = inputs if x._requires_grad else (None, y)
                else:
                    targets = (x, None) if x._requires_grad else None
            else:
                if refuse is not None:
                    refuse(x, y)
                b = y
                targets = (x, None) if x._requires_grad else None
        else:
            if refuse is not None:
                refuse(x, y)
            if not isinstance(y, Variable):
                return pair(x, y)[0]
            a, b = x, y.array
            targets = (None, y) if y._requires_grad else None
        try:
            output = call(pair, a, b)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            try:
                output = _again(error, pair, inputs, (a, b))
            except OverflowError:  # a Python integer that the other's type cannot hold
                return recorded(*settle_pair(recorded.__name__, inputs, None))
        z = output[0]
        if type(z) is not _ndarray or (z.dtype is not _FLOAT32 if odd is None else odd):
            z, settled = _settled_pair(recorded, inputs, a, b, z)
            if settled is not None:
                return settled
        if targets is not None and mode.enabled:
            return record(z, recorded, inputs, targets, _NO_PARAMS, output)
        return _wrap(z)

    recorded = recorded or operation
    return operation


def _general(pair: Callable[..., Any]) -> Callable[..., Any]:
    call = _caller(pair)

    def operation(*inputs: Any, **params: Any) -> Any:
        raw: list[Any] = []
        targets: list[Any] = []
        seen = needed = half = False
        for x in inputs:
            if isinstance(x, Variable):
                seen = True
                array = x.array
                raw.append(array)
                if array.dtype is HALF:
                    half = True
                if x._requires_grad:
                    needed = True
                    targets.append(x)
                    continue
            else:
                raw.append(x)
            targets.append(None)
        if not seen:
            return pair(*inputs, **params)[0]
        if half and _computes_wider(operation, inputs):
            return in_float32(operation, inputs, params)
        try:
            output = call(pair, *raw, **params)
        except (TypeError, ValueError, RuntimeError) as error:
            output = _again(error, pair, inputs, raw, params)
        y = output[0]
        if type(y) is not _ndarray or y.dtype is not _FLOAT32:
            y, settled = _settled(operation, inputs, params, y)
            if settled is not None:
                return settled
        if needed and mode.enabled:
            return record(y, operation, inputs, targets, params, output)
        return _wrap(y)

    return operation


def _caller(pair: Callable[..., Any]) -> Callable[..., Any]:
    """How to call a pair without NumPy's warnings; a user's may read context variables."""
    return run if pair.__module__.startswith(_PACKAGE) else _call


@quiet
def _call(pair: Callable[..., Any], *args: Any, **params: Any) -> Any:
    return pair(*args, **params)


def _again(
    error: Exception, pair: Callable[..., Any], inputs: tuple[Any, ...], raw: Any,
    params: dict[str, Any] = _NO_PARAMS,
) -> Any:  # fmt: skip
    """The pair's output if it could not be called, else raises its error in terms of tensors."""
    if isinstance(error, (TypeError, ValueError)):
        raise explain(pair.__name__, inputs, error) from error
    if not isinstance(error, RuntimeError) or not busy(error):
        raise error
    try:
        return _call(pair, *raw, **params)
    except (TypeError, ValueError) as new:
        raise explain(pair.__name__, inputs, new) from new


def _settled(
    operation: Any, inputs: tuple[Any, ...], params: dict[str, Any], y: Any
) -> tuple[Any, Any]:
    """What is not a float32 array: (the value as an array, the result in another type or None).

    NumPy hands out scalars for 0-d results. And a float64 or float16 is right only where a tensor
    of that type came in, or where it was asked for by name: else NumPy's promotion differs from
    PyTorch's, and the operation is done again on inputs of PyTorch's type.
    """
    if isinstance(y, np.generic):
        y = np.asarray(y)
    if y.dtype in _PROMOTED and "dtype" not in params:
        settled = settle(inputs, y.dtype)
        if settled is not inputs:
            return y, operation(*settled, **params)
        if y.dtype is HALF and _computes_wider(operation, inputs):
            return y, in_float32(operation, inputs, params)
    return y, None


def _settled_pair(
    operation: Any, inputs: tuple[Any, ...], a: Any, b: Any, z: Any
) -> tuple[Any, Any]:
    """As `_settled`, for an operation of two operands, whose arrays or numbers are a and b."""
    if isinstance(z, np.generic):
        z = np.asarray(z)
    if type(inputs[-1]) in _SEQUENCES or type(inputs[0]) in _SEQUENCES:  # NumPy made float64 of it
        kinds = " and ".join(f"'{type(x).__name__}'" for x in inputs)
        raise TypeError(
            f"{operation.__name__}: unsupported operand type(s): {kinds}; make a Tensor of it with "
            "tensor(...)"
        )
    made = z.dtype
    if getattr(a, "dtype", made) is not made or getattr(b, "dtype", made) is not made:
        settled = settle_pair(operation.__name__, inputs, made)
        if settled is not inputs:
            return z, operation(*settled)
    if made is HALF and _computes_wider(operation, inputs):
        return z, in_float32(operation, inputs, _NO_PARAMS)
    return z, None


def _computes_wider(operation: Any, inputs: tuple[Any, ...]) -> bool:
    """Whether an operation on these float16 inputs is to be computed in float32."""
    if operation.__name__ in EXACT and all(map(fits_half, inputs)):
        return False
    return result_type(inputs) is HALF


def reduce_to(g: Any, shape: tuple[int, ...], made_by: str) -> Any:
    """Sum a gradient down to `shape`, undoing the broadcast that the forward pass did."""
    extra = len(g.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 and g.shape[extra + i] != 1
    )
    kept = g.shape[max(extra, 0) :]
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, kept, strict=True)):
        raise RuntimeError(
            f"{made_by}: a pullback returned a gradient of shape {tuple(g.shape)} for an input of "
            f"shape {shape}; it must return the input's shape, or one that broadcast from it"
        )
    if axes:
        g = xp(g).sum(g, axis=axes, keepdims=True)
    return g.reshape(shape)


class _Mode(threading.local):
    enabled = True  # each thread starts with recording on


mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require a gradient are being recorded in this thread."""
    return mode.enabled
