"""Layers that are one function: constructor, `forward` and documentation follow from it.

    class Softsign(Layer, of=softsign): ...

    class LeakyReLU(Layer):
        @settings(leaky_relu)
        def __init__(self) -> None: ...

The second form is for functions with settings: type checkers see them, and what the constructor
does beyond keeping them stands in its body.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeAlias, overload

from ..core.declared import Argument, arguments_of, constructor, defined
from ..core.tensor import Tensor
from .module import Module

__all__ = ["Layer", "Shown", "settings"]

Parameter = inspect.Parameter

P = ParamSpec("P")
Body: TypeAlias = Callable[[Any], None]
Declared: TypeAlias = Callable[[Body], Callable[Concatenate[Any, P], None]]


class Layer(Module):
    """A module whose `forward` is the function `of`, with what the constructor takes.

    Of the function's arguments, those before the first that the constructor knows are the inputs;
    for the others it is given the attributes of their names, for `training` that of the module.
    The documentation is the function's where the class has none.
    """

    _settings: tuple[str, ...] = ()  # the attributes that `forward` hands to the function
    _unkept = frozenset({"inplace"})  # arguments of constructors that it does not need

    if TYPE_CHECKING:  # the settings, which become attributes

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, of: Callable[..., Any] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        of = of or getattr(vars(cls).get("__init__"), "of", None)
        if of is None:
            return
        if cls.__doc__ is None:
            cls.__doc__ = cls._documented(inspect.cleandoc(of.__doc__ or ""))
        taken = {p.name for p in arguments_of(cls.__init__)[1:]}
        function = arguments_of(of)
        names = [p.name for p in function]
        cls._settings = tuple(n for n in names if n in taken and n not in cls._unkept)
        if "forward" not in vars(cls):
            cls.forward = _forward(of, function, taken, cls._unkept)
            cls.forward.__qualname__ = f"{cls.__qualname__}.forward"

    @classmethod
    def _documented(cls, text: str) -> str:
        """The documentation of the class, from that of the function."""
        return text

    def _take(self, given: dict[str, Any]) -> None:
        """Begin, and keep the constructor's arguments."""
        super().__init__()
        for name, value in given.items():
            setattr(self, name, value)


class Shown(Layer):
    """A layer that shows its settings, as name=value."""

    def extra_repr(self) -> str:
        values = {name: getattr(self, name) for name in self._settings}
        return ", ".join(
            f"{k}={v!r}" if isinstance(v, str) else f"{k}={v}" for k, v in values.items()
        )


def _forward(
    of: Callable[..., Any], parameters: list[Argument], taken: Container[str],
    unkept: frozenset[str],
) -> Any:  # fmt: skip
    """`forward`, as one would write it: it calls the function with inputs and settings."""
    known = [p.name in taken or p.name == "training" for p in parameters]
    inputs = parameters[: known.index(True)] if True in known else parameters
    passed, left_out = [p.name for p in inputs], []
    for p, is_known in zip(parameters[len(inputs) :], known[len(inputs) :], strict=True):
        if not is_known or p.name in unkept:
            left_out.append(repr(p.default))
        else:
            by_name = p.kind is Parameter.KEYWORD_ONLY
            value = f"{p.name}=self.{p.name}" if by_name else f"self.{p.name}"
            passed += [*left_out, value]  # by position: names cost a little at every call
            left_out = []
    head = ", ".join(["self", *(p.name for p in inputs)])
    space = vars(sys.modules[of.__module__])
    # By its name, since `publish` puts another function in its place; one within another is given.
    name = of.__name__ if space.get(of.__name__) is of else "_function"
    text = f"def forward({head}): return {name}({', '.join(passed)})"
    made = defined("forward", text, space, _function=of)
    made.__annotations__ = dict.fromkeys(passed[: len(inputs)], "Tensor")
    made.__annotations__ |= {
        p.name: p.annotation for p in inputs if p.annotation is not Parameter.empty
    }
    made.__annotations__["return"] = "Tensor"
    return made


@overload
def settings(
    function: Callable[Concatenate[Tensor, P], Any], inputs: Literal[1] = 1, **defaults: Any
) -> Declared[P]: ...


@overload
def settings(
    function: Callable[Concatenate[Tensor, Tensor, P], Any], inputs: Literal[2], **defaults: Any
) -> Declared[P]: ...


@overload
def settings(
    function: Callable[Concatenate[Tensor, Tensor, Tensor, P], Any], inputs: Literal[3],
    **defaults: Any,
) -> Declared[P]: ...  # fmt: skip


@overload
def settings(
    function: Callable[Concatenate[Tensor, Tensor, Any, Any, P], Any], inputs: Literal[4],
    **defaults: Any,
) -> Declared[P]: ...  # fmt: skip


def settings(function: Callable[..., Any], inputs: int = 1, **defaults: Any) -> Any:
    """Make of `__init__` the constructor of a Layer: the function's arguments, but its inputs.

    `inputs`: how many they are. `defaults`: those that are not the function's. The arguments become
    attributes; the `__init__` that is written runs then.
    """

    def declare(body: Body) -> Any:
        def run(self: Layer, given: dict[str, Any]) -> None:
            self._take(given)
            body(self)

        parameters = arguments_of(function)[inputs:]
        chosen = [p._replace(default=defaults.get(p.name, p.default)) for p in parameters]
        owner, space = body.__qualname__.rpartition(".")[0], vars(sys.modules[function.__module__])
        made = constructor(owner, chosen, run, space)
        made.of = function
        return made

    return declare
