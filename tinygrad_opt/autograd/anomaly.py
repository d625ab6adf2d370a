"""Anomaly detection: which line of the forward pass a bad gradient or value comes from.

While it is on, operations are recorded as TracedNodes, which remember the lines that made them and
look at the value; and backward looks at every gradient. While it is off it costs nothing: the
function that `core/record.py` records with is exchanged, and a pass asks once for its guard.
"""

from __future__ import annotations

import os
import traceback
import warnings
from typing import Any

from ..arrays.unwritten import Unwritten
from ..arrays.xp import xp
from ..core import record
from ..core.backward import watch
from ..core.node import Node, Variable
from ..core.tensor import Tensor, wrap_as, wrap_plain

__all__ = ["detect_anomaly", "is_anomaly_enabled", "set_detect_anomaly"]

on = False
_check_nan = True
_LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class TracedNode(Node):
    """A Node that remembers where it was made, and warns if its value has new nans."""

    __slots__ = ()

    def __init__(self, op: Any, inputs: Any, targets: Any, params: Any, output: Any) -> None:
        super().__init__(op, inputs, targets, params, output)
        self.trace = user_lines()
        if _check_nan and has_nan(output[0]) and not any(has_nan(x) for x in inputs):
            warnings.warn(
                f"{op.__name__} returned nan in its forward pass, from inputs without nan:\n"
                f"{self.trace}",
                UserWarning,
                stacklevel=4,
            )


def record_traced(value: Any, *parts: Any) -> Any:
    return wrap_as(Tensor, value, True, TracedNode(*parts))


def user_lines() -> str:
    """The call stack as text, without the lines of this library."""
    stack = traceback.extract_stack()
    outside = [frame for frame in stack if not frame.filename.startswith(_LIBRARY)]
    return "".join(traceback.format_list(outside))


def guarded(node: Node, again: bool) -> tuple[Any, ...]:
    """The Node's pullbacks, with a check of what they return; on Tensors if `again`."""
    output = node.on_tensors(wrap_plain) if again else node.output
    pullbacks = (
        None if pullback is None else _guard(node, i, pullback)
        for i, pullback in enumerate(output[1:])
    )
    return (output[0], *pullbacks)


def _guard(node: Node, i: int, pullback: Any) -> Any:
    def checked(g: Any) -> Any:
        try:
            gx = pullback(g)
        except Exception:
            warnings.warn(f"Error detected in {node.name()}. {_made(node)}", stacklevel=2)
            raise
        gx = gx.whole() if isinstance(gx, Unwritten) else gx
        for k, part in enumerate(getattr(gx, "items", (gx,))):
            if _check_nan and has_nan(part):
                raise RuntimeError(
                    f"Function '{node.name()}' returned nan values in its {i + k}th output. "
                    + _made(node)
                )
        return gx

    return checked


def _made(node: Node) -> str:
    trace = getattr(node, "trace", None)
    if trace is None:
        return "No forward pass information available. Enable detect anomaly during forward pass."
    return f"Traceback of forward call that caused the error:\n{trace}"


def has_nan(x: Any) -> bool:
    """Whether a float array, Tensor or number holds a nan."""
    array = x.array if isinstance(x, Variable) else x
    kind = getattr(getattr(array, "dtype", None), "kind", None)
    return kind in ("f", "c") and bool(xp(array).isnan(array).any())


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return on


class set_detect_anomaly:
    """Switches anomaly detection at once; as a context manager it switches back at the end.

    `check_nan`: whether values and gradients are looked at for nan; the forward lines are
    remembered in any case.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (on, _check_nan)
        _switch(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _switch(*self._before)


class detect_anomaly:
    """Finds the operation whose gradient is nan, and the line of the forward pass that ran it.

    Backward inside raises RuntimeError as soon as a derivative returns nan, with the forward line;
    any other error of backward is preceded by a warning with that line. An operation whose value
    has a nan that its inputs had not warns at once. For finding mistakes, not for training: it
    slows every operation down.

    >>> x = tensor([0.0], requires_grad=True)
    >>> with detect_anomaly(check_nan=True):  # doctest: +SKIP
    ...     (x.sqrt() * 0).backward()
    RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output. ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._wanted = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self._before = (on, _check_nan)
        _switch(True, self._wanted)

    def __exit__(self, *exc: object) -> None:
        _switch(*self._before)


def _switch(mode: bool, check_nan: bool) -> None:
    global on, _check_nan
    on, _check_nan = mode, check_nan
    record.record = record_traced if mode else record.record_plainly
    watch.guard = guarded if mode else None
