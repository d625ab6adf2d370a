"""Chapter 9: binding operators and methods."""

from __future__ import annotations

from typing import Any

from ..judging import Wrong, need, same


def _number(x: Any) -> Any:
    return getattr(x, "value", x)


OPERATORS = {
    "add": lambda x, y: _number(x) + _number(y),
    "sub": lambda x, y: _number(x) - _number(y),
    "truediv": lambda x, y: _number(x) / _number(y),
}
METHODS = {
    "scale": lambda x, factor: x.value * factor,
    "negative": lambda x: -x.value,
    "between": lambda x, low=0, high=10: _number(low) <= _number(x) <= high,
}


def check(answer: Any) -> str:
    """Operators from both sides, methods with arguments, each its own function."""
    bind = need(answer, "bind")

    class Meter:
        def __init__(self, value: float) -> None:
            self.value = value

    bind(Meter, OPERATORS, METHODS)
    x: Any = Meter(6.0)
    late = (
        "all names got the last function: a function made in a loop looks its names up when it is "
        "called; make it in a function of its own, or keep the value as a default (f=f)"
    )
    last = [(value, late) for value in (1.5, 2 / 6, True, False)]
    _hold("Meter(6) - Meter(4)", lambda: x - Meter(4.0), 2.0, "x - y is f(x, y)", last)
    _hold("Meter(6) + 4", lambda: x + 4.0, 10.0, "x + y is f(x, y)", last)
    _hold("Meter(6) / 4", lambda: x / 4.0, 1.5, "set __truediv__")
    other = "the sides are exchanged: Python calls y.__rsub__(2) for 2 - y, and that is f(2, y)"
    _hold("2 - Meter(6)", lambda: 2.0 - x, -4.0, "set __rsub__ as well",
          [(4.0, other), *last])  # fmt: skip
    _hold("3 / Meter(6)", lambda: 3.0 / x, 0.5, "set __rtruediv__ as well", [(2.0, other)])
    _hold("Meter(6).scale(2)", lambda: x.scale(2), 12.0, "x.scale(2) is f(x, 2)", [(True, late)])
    _hold("Meter(6).negative()", lambda: x.negative(), -6.0, "a method needs no arguments")
    named = "arguments by name go on to f: (self, *args, **kwargs)"
    _hold("Meter(6).between(high=5)", lambda: x.between(high=5), False, named)
    return "both sides, every name its own function"


def _hold(what: str, call: Any, expected: Any, hint: str, mistakes: Any = ()) -> None:
    try:
        got = call()
    except (TypeError, AttributeError) as error:
        raise Wrong(what, expected, f"{type(error).__name__}: {error}", hint) from None
    same(what, got, expected, hint, mistakes)
