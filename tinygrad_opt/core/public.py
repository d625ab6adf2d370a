"""What users call: functions under PyTorch's names, that take its arguments and refuse the rest.

Inside the package, operations take Tensors and raw arrays alike. What is public takes what PyTorch
takes: an argument that is annotated as a Tensor has to be one. `public` puts that check, and the
name, around a function; the operations of one and two inputs get both without a call in between.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .declared import Argument, arguments_of, in_def, taking
from .node import Variable
from .record import BY_INPUTS
from .refusals import MISSING, NUMBERS, RIGHT, all_tensors, refused, wrong
from .tensor import Tensor

__all__ = ["Writer", "name_methods", "named", "public", "publish"]

# How a function writes its result: out(function, name, args, keyword arguments, the tensor).
Writer = Callable[..., Any]

Parameter = inspect.Parameter
_NONE = Parameter.empty
_OUT = Argument("out", Parameter.KEYWORD_ONLY, None, "Tensor | tuple[Tensor, ...] | None")
# What the text of a face knows.
_KNOWN = {
    "_Variable": Variable, "_all_tensors": all_tensors, "_missing": MISSING,
    "_scalar": (Variable, *NUMBERS),
}  # fmt: skip
_NUMPY = Argument("_numpy", Parameter.VAR_KEYWORD, _NONE, _NONE)

# NumPy's names for arguments, which PyTorch takes as well: `x.sum(axis=0, keepdims=True)`.
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}

# Operations of two inputs: the second name where it is not `other`, and which may be numbers.
_SECOND = {"pow": "exponent"}
_NUMBERS_IN = {
    name: {"input", "other"} for name in ("add", "sub", "mul", "multiply", "true_divide", "xlogy")
}
_NUMBERS_IN |= {"pow": {"input", "exponent"}, "copysign": {"other"}}


# Names --------------------------------------------------------------------------------------------


def named(function: Any, name: str, owner: str = "", module: str | None = None) -> Any:
    """`function`, or a copy of it, that says in errors and in `help` that it is `name`.

    `owner`: the class whose method it is. `module`: where pickle finds it.
    """
    full = f"{owner}.{name}" if owner else name
    if (function.__name__, function.__qualname__) != (name, full):
        copied: Any = types.FunctionType(
            function.__code__, function.__globals__, name, function.__defaults__,
            function.__closure__,
        )  # fmt: skip
        copied.__kwdefaults__ = function.__kwdefaults__
        function.__globals__.get("_waiting", []).append(copied)  # to be compiled, as a face
        inner = getattr(function, "__wrapped__", None)
        if inner is not None:
            copied.__signature__ = inspect.signature(function)  # that of what it is around
        function = functools.update_wrapper(copied, function)
        if inner is None:
            del function.__wrapped__
        else:
            function.__wrapped__ = inner  # whose module knows the names in its annotations
    function.__name__, function.__qualname__ = name, full
    function.__module__ = module or function.__module__
    return function


def name_methods(mixin: type) -> None:
    """Let the methods that Tensor inherits from `mixin` say that they are Tensor's."""
    for name, method in list(vars(mixin).items()):
        if inspect.isfunction(method) and not name.startswith("__"):
            setattr(mixin, name, named(method, name, "Tensor"))


def publish(
    space: dict[str, Any], names: Iterable[str], arguments: Mapping[str, Mapping[str, str]] = {},
    out: Mapping[str, Writer] = {},
) -> None:  # fmt: skip
    """Make the functions `names` of a module public, in place: `publish(globals(), __all__)`.

    It stands behind the functions of a file and before the classes, which call them.

    `arguments`: for a function, new names of arguments: {"inv": {"matrix": "A"}}. `out`: how those
    that take one write their result into a given tensor.
    """
    for name in names:
        if inspect.isfunction(space.get(name)):
            space[name] = public(
                space[name], name, module=space["__name__"], arguments=arguments.get(name, {}),
                out=out.get(name),
            )  # fmt: skip


def public(
    function: Any, name: str, owner: str = "", module: str | None = None,
    arguments: Mapping[str, str] = {}, out: Writer | None = None,
) -> Any:  # fmt: skip
    """`function` as users call it: by `name`, with checks of its Tensors, and NumPy's names.

    A function with a `dim` also knows `axis`, and `keepdims` for `keepdim`. With an `owner`, a
    class, the first argument is its `self`, and needs no check. `arguments`: new names of some.
    With `out`, it takes an argument of that name, and gives all to `out` where that is not None.
    Raises TypeError (when called) for anything else where a Tensor is due.
    """
    if hasattr(function, "pair"):
        made = _operation(function, name, owner, out)
    else:
        made = _checked(function, name, owner, arguments, out)
    if made is function:
        return named(made, name, owner, module)
    made.__name__, made.__qualname__ = name, f"{owner}.{name}" if owner else name
    made.__module__ = module or function.__module__
    return made


# Operations ---------------------------------------------------------------------------------------


def _operation(operation: Any, name: str, owner: str, out: Writer | None) -> Any:
    """An operation of one or two inputs under the names of PyTorch's arguments."""
    count = operation.__code__.co_argcount
    parameters = ("input", _SECOND.get(name, "other"))[:count]
    numbers = _NUMBERS_IN.get(name, ())

    def refuse(*inputs: Any) -> None:
        tensors = any(isinstance(x, Variable) for x in inputs)
        for i, (argument, x) in enumerate(zip(parameters, inputs, strict=True), not owner):
            number = tensors and argument in numbers and isinstance(x, NUMBERS)
            if not number and not isinstance(x, Variable):
                raise refused(name, argument, i, x)

    twin = _renamed_twin(operation, parameters, refuse)
    names = dict(zip("xy", parameters, strict=False))
    twin.__doc__ = re.sub(r"\b[xy]\b", lambda x: names.get(x[0], x[0]), operation.__doc__ or "")
    twin.pair = operation.pair
    return twin if out is None else _with_out(twin, name, parameters, out)


def _with_out(operation: Any, name: str, parameters: tuple[str, ...], out: Writer) -> Any:
    """An operation with one argument more, which costs next to nothing where it is not given."""
    names = ", ".join(parameters)
    taken = [Argument(x, Parameter.POSITIONAL_OR_KEYWORD, _NONE, _NONE) for x in parameters]
    text = (
        f"def face({names}, *, out=None):\n    if out is None: return _function({names})\n"
        f"    return _out(_function, {name!r}, ({names},), {{}}, out)"
    )
    space = {"_function": operation, "_out": out}
    face = _defined_late(lambda: text, [*taken, _OUT], space)
    functools.update_wrapper(face, operation)
    face.__wrapped__ = operation.pair  # what somebody wrote
    # No names: the module of the operation, where they would be looked up, knows no Tensor.
    face.__annotations__ = {"out": Tensor | tuple[Tensor, ...] | None, "return": Any}
    face.__signature__ = _signature([*taken, _OUT], "Any")
    return face


def _renamed_twin(operation: Any, parameters: tuple[str, ...], refuse: Callable[..., None]) -> Any:
    """A twin of an operation of one or two inputs, which are called `parameters` and given by name.

    It asks `refuse(*inputs)`, which may raise, where an input is not a Tensor; that costs nothing
    where all are. The graph records the operation itself.
    """
    twin: Any = BY_INPUTS[len(parameters)](operation.pair, refuse, operation)
    code = twin.__code__
    names = (*parameters, *code.co_varnames[len(parameters) :])
    twin.__code__ = code.replace(co_varnames=names, co_posonlyargcount=0)
    return twin


# Functions ----------------------------------------------------------------------------------------


def _checked(
    function: Any, name: str, owner: str, arguments: Mapping[str, str], out: Writer | None
) -> Any:
    """A function of the same arguments that checks them and calls `function`; or that itself."""
    passed = arguments_of(function)
    if arguments:
        passed = [p._replace(name=arguments.get(p.name, p.name)) for p in passed]
    parameters = passed if out is None else [*passed, _OUT]
    renaming = any(p.name == "dim" for p in parameters)
    optional = _after_dim(parameters) if renaming else []
    checked = parameters[1:] if owner else parameters
    conditions = [f"{p.name} is not _missing" for p in optional] + _conditions(checked, owner)
    if not conditions and not renaming and not arguments and out is None:
        return function
    taken = [p._replace(default=MISSING) if p in optional else p for p in parameters]
    shown = [*taken, _NUMPY] if renaming else taken
    space: dict[str, Any] = {**_KNOWN, "_function": function}

    def text() -> str:
        lines = [f"def face({', '.join(in_def(shown, lambda p: 'None'))}):"]
        given = "{" + ", ".join(f"{p.name!r}: {p.name}" for p in parameters) + "}"
        if renaming:
            lines.append(f"    if _numpy: return _renamed({given}, _numpy)")
        if conditions:
            lines.append(f"    if not ({' and '.join(conditions)}): raise _wrong({given})")
        if out is not None:
            lines.append(f"    if out is not None: return _with_out({given})")
        return "\n".join([*lines, f"    return _function({_passed(passed)})"])

    space["_wrong"] = functools.partial(wrong, name, checked)
    face = functools.update_wrapper(_defined_late(text, shown, space), function)
    space["_renamed"] = functools.partial(_renamed, face, name, taken)
    if out is not None:
        space["_with_out"] = functools.partial(_written, out, function, name, passed)
    _sign(face, parameters, plain=not renaming, own=bool(arguments) or out is not None)
    return face


def _defined_late(
    text: Callable[[], str], parameters: list[Argument], space: dict[str, Any]
) -> Any:
    """The function `face` that the text defines, which is written when it is first called.

    Its defaults are those of the parameters.
    """

    def first(given: dict[str, Any]) -> Any:
        code = _defined(text(), space).__code__
        for waiting in space["_waiting"]:
            waiting.__code__ = code
        args, words = _call(parameters, given)
        return face(*args, **words)

    face = taking(parameters, first, "face", space)
    space["_waiting"] = [face]
    return face


def _sign(face: Any, parameters: list[Argument], plain: bool, own: bool) -> None:
    """Let `inspect.signature` tell what users may write: the arguments of the function behind it.

    `own`: the face has others. `plain`: its text has them all. The function behind stays known: it
    is what `inspect.getsource` shows, and where `typing.get_type_hints` looks names up.
    """
    given = vars(face).pop("__signature__", None) if plain or own else None
    result = face.__annotations__.get("return", _NONE)
    result = result if given is None else given.return_annotation
    if plain:
        notes = [(p.name, p.annotation) for p in parameters] + [("return", result)]
        face.__annotations__ = {name: note for name, note in notes if note is not _NONE}
    if own:
        face.__signature__ = _signature(parameters, result)


def _signature(parameters: list[Argument], result: Any) -> inspect.Signature:
    return inspect.Signature(
        [Parameter(p.name, p.kind, default=p.default, annotation=p.annotation)
         for p in parameters], return_annotation=result
    )  # fmt: skip


def _defined(text: str, space: dict[str, Any]) -> Any:
    """The function `face` that the text defines, which knows what is in `space`."""
    exec(_compiled(text), space)
    return space["face"]


@functools.cache
def _compiled(text: str) -> types.CodeType:
    return compile(text, "<arguments of a public function>", "exec")


def _after_dim(parameters: list[Argument]) -> list[Argument]:
    """The arguments that have to be given, but perhaps by name: `dim`, which may be `axis`, and on.

    (Python allows no argument without a default behind one that has one.)
    """
    names = [p.name for p in parameters]
    return [
        p for p in parameters[names.index("dim") :]
        if p.default is _NONE and p.kind is Parameter.POSITIONAL_OR_KEYWORD
    ]  # fmt: skip


def _conditions(parameters: list[Argument], owner: str) -> list[str]:
    """What has to hold for the arguments, as Python expressions."""
    found, tensors = [], []
    for p in parameters:
        if p.kind is Parameter.VAR_POSITIONAL:
            found += [f"_all_tensors({p.name})"] if p.annotation == "Tensor" else []
        elif p.annotation in RIGHT:
            found.append(RIGHT[p.annotation].format(p.name))
            tensors.append(p)
    if not owner and tensors and all(p.annotation == "Tensor | float" for p in tensors):
        found.append(f"({' or '.join(RIGHT['Tensor'].format(p.name) for p in tensors)})")
    return found


_STARS: dict[Any, str] = {
    Parameter.VAR_POSITIONAL: "*{0}",
    Parameter.VAR_KEYWORD: "**{0}",
    Parameter.KEYWORD_ONLY: "{0}={0}",
}


def _passed(parameters: list[Argument]) -> str:
    """The arguments as they stand in a call."""
    return ", ".join(_STARS.get(p.kind, "{0}").format(p.name) for p in parameters)


def _renamed(face: Any, name: str, parameters: list[Argument], given: Any, more: Any) -> Any:
    """The call with `axis` for `dim` and `keepdims` for `keepdim`."""
    defaults = {p.name: p.default for p in parameters}
    for alias, value in more.items():
        meant = _NUMPY_NAMES.get(alias, "")
        if meant not in given:
            raise TypeError(f"{name}() got an unexpected keyword argument '{alias}'")
        if given[meant] is not defaults[meant]:
            raise TypeError(f"{name}() got both {alias} and {meant}: give one of them")
        given[meant] = value
    args, words = _call(parameters, given)
    return face(*args, **words)


def _written(
    out: Writer, function: Any, name: str, parameters: list[Argument], given: dict[str, Any]
) -> Any:
    """The call with `out`."""
    args, words = _call(parameters, given)
    return out(function, name, args, words, given["out"])


def _call(parameters: list[Argument], given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call by place, and by name."""
    args: list[Any] = []
    words: dict[str, Any] = {}
    for p in parameters:
        if p.kind is Parameter.VAR_POSITIONAL:
            args += given[p.name]
        elif p.kind is Parameter.VAR_KEYWORD:
            words.update(given[p.name])
        elif p.kind is Parameter.KEYWORD_ONLY:
            words[p.name] = given[p.name]
        else:
            args.append(given[p.name])
    return args, words
