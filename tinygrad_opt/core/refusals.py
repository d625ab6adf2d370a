"""What public functions say of arguments that are not what they should be."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from .declared import Argument
from .node import Variable

__all__ = [
    "NUMBERS", "RIGHT", "all_tensors", "check_tensor", "hint", "not_a_tensor", "refused",
    "type_name", "wrong",
]  # fmt: skip

MISSING = object()  # the default of an argument that has to be given, perhaps by another name

NUMBERS = (int, float, complex, np.number, np.bool_)

# When an argument is right, by its annotation.
RIGHT = {
    "Tensor": "isinstance({0}, _Variable)",
    "Tensor | None": "({0} is None or isinstance({0}, _Variable))",
    "Tensor | float": "isinstance({0}, _scalar)",
    "Tensor | float | None": "({0} is None or isinstance({0}, _scalar))",
    "Sequence[Tensor]": "_all_tensors({0})",
    "Tensors": "_all_tensors({0})",
}

_SEQUENCES = ("Sequence[Tensor]", "Tensors")


def all_tensors(values: Any) -> bool:
    """Whether they are a list or tuple of Tensors alone."""
    if not isinstance(values, (list, tuple)):
        return False
    for value in values:  # noqa: SIM110  (a generator takes three times as long)
        if not isinstance(value, Variable):
            return False
    return True


_HINTS: dict[type, str] = {
    np.ndarray: "convert it with from_numpy(array), and .float() where it is float64",
    list: "make one of it with tensor(...)",
    tuple: "unpack it: recurrent layers, for instance, return (output, state)",
    type(None): "does the forward before it return its result?",
}
_ANY = "make one of it with tensor(...)"


def type_name(value: Any) -> str:
    """The type of a value with its module, since there are Tensors of several libraries."""
    kind = type(value)
    if kind.__module__.partition(".")[0] in ("builtins", "tinygrad_opt"):
        return kind.__qualname__
    return f"{kind.__module__.removesuffix('._tensor')}.{kind.__qualname__}"


def hint(value: Any) -> str:
    """How to make a Tensor of something that is none."""
    if type(value).__module__.partition(".")[0] == "torch":
        return "convert it with from_numpy(x.detach().numpy())"
    return _HINTS.get(type(value), _ANY)


def not_a_tensor(value: Any) -> str:
    """The end of a message about something that is not the Tensor it should be."""
    return f"Tensor, not {type_name(value)}; {hint(value)}"


def check_tensor(name: str, argument: str, value: Any) -> None:
    """Raise TypeError unless `value`, the `argument` of the function `name`, is a Tensor."""
    if not isinstance(value, Variable):
        raise _refusal(f"{name}(): argument '{argument}' must be {not_a_tensor(value)}", value)


def refused(name: str, argument: str, place: int, value: Any) -> TypeError:
    return _refusal(
        f"{name}(): argument '{argument}' (position {place}) must be {not_a_tensor(value)}", value
    )


def _refusal(text: str, value: Any) -> TypeError:
    error: Any = TypeError(text)
    error.refused = value  # so that a layer can say which of its arguments that is
    return error


def wrong(name: str, parameters: list[Argument], given: dict[str, Any]) -> TypeError:
    """What is wrong with the arguments."""
    for place, p in enumerate(parameters, 1):
        value = given[p.name]
        if value is MISSING:
            return TypeError(f"{name}() missing 1 required positional argument: '{p.name}'")
        if p.annotation in _SEQUENCES or p.kind is inspect.Parameter.VAR_POSITIONAL:
            if not all_tensors(value):
                return _wrong_element(name, p, place, value)
        elif p.annotation in RIGHT and not _fits(p.annotation, value):
            return refused(name, p.name, place, value)
    return refused(name, parameters[0].name, 1, given[parameters[0].name])  # all are numbers


def _fits(annotation: str, value: Any) -> bool:
    if value is None:
        return "None" in annotation
    return isinstance(value, Variable) or ("float" in annotation and isinstance(value, NUMBERS))


def _wrong_element(name: str, p: Argument, place: int, values: Any) -> TypeError:
    if not isinstance(values, (list, tuple)):
        return TypeError(
            f"{name}(): argument '{p.name}' (position {place}) must be tuple of Tensors, not "
            f"{type_name(values)}; write {name}([a, b])"
        )
    i, value = next((i, v) for i, v in enumerate(values) if not isinstance(v, Variable))
    return TypeError(f"{name}(): expected Tensor as element {i} in argument {place - 1}, but got "
                     f"{type_name(value)}; {hint(value)}")  # fmt: skip
