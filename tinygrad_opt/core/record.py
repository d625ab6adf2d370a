"""Recording: `@op` turns a forward/pullback pair into an operation on Tensors.

Fourth of the reading path; next: `core/backward.py`, which runs what is recorded here.

    @op
    def tanh(x):
        y = xp(x).tanh(x)
        return y, lambda g: g * (1 - y * y)

The pair sees raw arrays. It returns the forward value, then one pullback per input: a function
from the gradient of the output to the gradient of that input. Backward calls only those it needs,
and sums what they return down to the input's shape, so a pullback ignores broadcasting.

What is recorded is a Node: the operation, its inputs and its pullbacks. Results of another type
than float32 are looked at once more (`settled.py`), since NumPy promotes types otherwise.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.quiet import quiet, run
from .declared import BY_PLACE, arguments_of
from .errors import again
from .half import HALF
from .node import Node, Variable, next_rank
from .promote import settle_pair
from .settled import computes_wider, in_float32, settled, settled_pair
from .tensor import Tensor, wrap

__all__ = ["mode", "op", "record"]

_ndarray = np.ndarray
_FLOAT32 = np.dtype("float32")
_PACKAGE = __name__.partition(".")[0] + "."
_new: Any = object.__new__


class _Mode(threading.local):
    enabled = True  # each thread starts with recording on


mode = _Mode()


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
    made = _new(Tensor)
    made.array = value
    made._requires_grad = True
    made.node = node
    made._grad = None
    return made


record: Callable[..., Any] = record_plainly  # anomaly detection exchanges it


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
    parameters = arguments_of(pair)
    plain = all(p.kind in BY_PLACE for p in parameters) and not getattr(pair, "__defaults__", None)
    make = BY_INPUTS.get(len(parameters) if plain else 0, _general)
    operation: Any = functools.wraps(pair)(make(pair))
    operation.__name__ = pair.__name__.lstrip("_")
    operation.pair = pair
    return operation


# Four times the same function: unpacking a known number of inputs, with no keywords to collect and
# no call in between, is what keeps recording near a microsecond.

NO_PARAMS: dict[str, Any] = {}


def _unary(pair: Any, refuse: Any = None, recorded: Any = None) -> Callable[..., Any]:
    call, kept = _caller(pair), getattr(pair, "kept", None)  # see `outlines`

    def operation(x: Any, /) -> Any:
        if type(x) is not Tensor and not isinstance(x, Variable):
            if refuse is not None:
                refuse(x)
            return pair(x)[0]
        try:
            output = call(pair, x.array)
        except (TypeError, ValueError, RuntimeError) as error:
            output = again(error, pair, (x,), (x.array,), NO_PARAMS)
        y = output[0]
        if type(y) is not _ndarray or y.dtype is not _FLOAT32:
            y, other = settled(recorded, (x,), NO_PARAMS, y, output)
            if other is not None:
                return other
        if x._requires_grad and mode.enabled:
            made = record(y, recorded, inputs := (x,), inputs, NO_PARAMS, output)
            return made if kept is None else kept(x, made)
        return wrap(y)

    recorded = recorded or operation
    return operation


def _binary(pair: Any, refuse: Any = None, recorded: Any = None) -> Callable[..., Any]:
    call = _caller(pair)

    def operation(x: Any, y: Any, /) -> Any:
        inputs = (x, y)
        targets: Any = None
        odd: Any = None  # for two Tensors: whether one is not of float32
        if type(x) is Tensor or isinstance(x, Variable):
            a = x.array
            if type(y) is Tensor or isinstance(y, Variable):
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
                output = again(error, pair, inputs, (a, b), NO_PARAMS)
            except OverflowError:  # a Python integer that the other's type cannot hold
                return recorded(*settle_pair(recorded.__name__, inputs, None))
        z = output[0]
        if type(z) is not _ndarray or (z.dtype is not _FLOAT32 if odd is None else odd):
            z, other = settled_pair(recorded, inputs, a, b, z, output)
            if other is not None:
                return other
        if targets is not None and mode.enabled:
            return record(z, recorded, inputs, targets, NO_PARAMS, output)
        return wrap(z)

    recorded = recorded or operation
    return operation


def _ternary(pair: Callable[..., Any]) -> Callable[..., Any]:
    call = _caller(pair)

    def operation(x: Any, y: Any, z: Any, /) -> Any:
        inputs = (x, y, z)
        if not (isinstance(x, Variable) and isinstance(y, Variable) and isinstance(z, Variable)):
            return general(*inputs)
        a, b, c = x.array, y.array, z.array
        if not (a.dtype is b.dtype is c.dtype is _FLOAT32):
            return general(*inputs)
        try:
            output = call(pair, a, b, c)
        except (TypeError, ValueError, RuntimeError) as error:
            output = again(error, pair, inputs, (a, b, c), NO_PARAMS)
        value = output[0]
        if type(value) is not _ndarray or value.dtype is not _FLOAT32:
            value, other = settled(operation, inputs, NO_PARAMS, value, output)
            if other is not None:
                return other
        if (x._requires_grad or y._requires_grad or z._requires_grad) and mode.enabled:
            every = x._requires_grad and y._requires_grad and z._requires_grad
            targets = inputs if every else [t if t._requires_grad else None for t in inputs]
            return record(value, operation, inputs, targets, NO_PARAMS, output)
        return wrap(value)

    general = _general(pair, operation)
    return operation


def _general(pair: Callable[..., Any], recorded: Any = None) -> Callable[..., Any]:
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
        if half and computes_wider(recorded, inputs):
            return in_float32(recorded, inputs, params)
        try:
            output = call(pair, *raw, **params)
        except (TypeError, ValueError, RuntimeError) as error:
            output = again(error, pair, inputs, raw, params)
        y = output[0]
        if type(y) is not _ndarray or y.dtype is not _FLOAT32:
            y, other = settled(recorded, inputs, params, y, output)
            if other is not None:
                return other
        if needed and mode.enabled:
            return record(y, recorded, inputs, targets, params, output)
        return wrap(y)

    recorded = recorded or operation
    return operation


# How to make an operation of a pair, by its number of inputs.
BY_INPUTS: dict[int, Any] = {1: _unary, 2: _binary, 3: _ternary}


def _caller(pair: Callable[..., Any]) -> Callable[..., Any]:
    """How to call a pair without NumPy's warnings; a user's may read context variables."""
    return run if (pair.__module__ or "").startswith(_PACKAGE) else _call


@quiet
def _call(pair: Callable[..., Any], *args: Any, **params: Any) -> Any:
    return pair(*args, **params)
