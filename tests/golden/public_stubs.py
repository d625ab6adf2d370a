"""Writes what type checkers and editors read of names that are bound at run time.

core/bound.pyi   the methods of Tensor, from the functions that `tensors/methods.py` binds
__init__.pyi     the functions of the package

Run by `make golden`; tests/test_types.py holds that the files are up to date.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import tinygrad_opt
from tinygrad_opt import Tensor
from tinygrad_opt.core import node, tensor

PACKAGE = Path(tinygrad_opt.__file__).parent
BOUND, INIT = PACKAGE / "core" / "bound.pyi", PACKAGE / "__init__.pyi"
HEAD = '"""Written by tests/golden/public_stubs.py; change what it reads, not this."""\n'

# Types that annotations may name; what names another is Any.
KNOWN = {
    "Any", "Callable", "Device", "Generator", "Iterable", "Iterator", "Mapping", "None", "Sequence",
    "NDArray", "Size", "SparseTensor", "Tensor", "_b", "bool", "dict", "dtype", "float", "int",
    "list", "object", "str", "tuple",
}  # fmt: skip
ALIASES = {"Dim": "int | Sequence[int] | None", "Tensors": "Sequence[Tensor]",
           "builtins.bool": "bool", "torch.dtype": "dtype",
           "np.ndarray[Any, Any]": "NDArray"}  # fmt: skip

# What functions return whose annotation says Any.
PAIRS = ("cummax", "cummin", "kthvalue", "median", "mode", "nanmedian", "sort", "topk")
RETURNS = {
    **dict.fromkeys(PAIRS, "ValuesIndices"), "aminmax": "MinMax", "qr": "QR", "slogdet": "SignLog",
    "svd": "USV", "histogram": "Histogram", "result_type": "dtype", "broadcast_shapes": "Size",
    "get_autocast_dtype": "dtype",
}  # fmt: skip
NAMED = {
    "ValuesIndices": "values indices", "MinMax": "min max", "QR": "Q R",
    "SignLog": "sign logabsdet", "USV": "U S V", "Histogram": "hist bin_edges",
}  # fmt: skip
OVERLOADS = {
    **{
        name: [
            ("", "Tensor"),
            ("dim: _b.int, keepdim: _b.bool = ...", "ValuesIndices"),
            ("other: Tensor", "Tensor"),
        ]
        for name in ("max", "min")
    },
    **{
        name: [("", "Tensor"), ("dim: _b.int, keepdim: _b.bool = ...", "ValuesIndices")]
        for name in ("median", "nanmedian")
    },
    "size": [("dim: None = ...", "Size"), ("dim: _b.int", "_b.int")],
    "stride": [("dim: None = ...", "tuple[_b.int, ...]"), ("dim: _b.int", "_b.int")],
    "type": [("dtype: None = ...", "_b.str"), ("dtype: Any", "Tensor")],
}
OF_METHODS_ALONE = ("size", "stride", "type")
OPERATORS = {
    "__bool__": "bool", "__contains__": "bool", "__float__": "float", "__int__": "int",
    "__complex__": "complex", "__index__": "int", "__len__": "int",
}  # fmt: skip
UNTYPED = {"__eq__", "__ne__", "__deepcopy__", "__reduce__", "__dlpack__", "__dlpack_device__",
           "__getattr__"} | set(dir(object))  # fmt: skip
UNTYPED -= {"__ge__", "__gt__", "__le__", "__lt__"}


def typed(annotation, otherwise="Any"):
    """An annotation as the stub can say it."""
    if annotation is inspect.Parameter.empty:
        return otherwise
    text = str(annotation)
    for name, meaning in ALIASES.items():
        text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.])", meaning, text)
    words = set(re.findall(r"[A-Za-z_]\w*", text))
    if not words <= KNOWN:
        return "Any"
    return re.sub(r"(?<![\w.])(bool|float|int|str)\b", r"_b.\1", text)


def argument(p):
    """One parameter."""
    stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    usual = {"input": "Tensor", "other": "Tensor | _b.float", "exponent": "Tensor | _b.float"}
    kind = typed(p.annotation, usual.get(p.name, "Any"))
    if p.default is not p.empty and p.default is None and "None" not in kind and kind != "Any":
        kind += " | None"
    return f"{stars}{p.name}: {kind}" + ("" if p.default is p.empty else " = ...")


def arguments(function, method):
    """The parameters of a signature, `self` as such."""
    parts, stars, slash = [], False, False
    parameters = list(inspect.signature(function).parameters.values())
    if method:
        parameters = parameters[1:]
    for p in parameters:
        if slash and p.kind is not p.POSITIONAL_ONLY:
            parts.append("/")
            slash = False
        slash = slash or p.kind is p.POSITIONAL_ONLY
        if p.kind is p.KEYWORD_ONLY and not stars:
            parts.append("*")
            stars = True
        stars = stars or p.kind is p.VAR_POSITIONAL
        parts.append(argument(p))
    return parts + (["/"] if slash else [])


def returned(name, function):
    """What a function returns."""
    if name in OPERATORS:
        return f"_b.{OPERATORS[name]}"
    said = inspect.signature(function).return_annotation
    if name in RETURNS:
        return RETURNS[name]
    in_place = name.endswith("_") and not name.startswith("_")
    operation = hasattr(function, "pair") or (said is inspect.Parameter.empty)
    if name == "__iter__":
        return "Iterator[Tensor]"
    if in_place or (operation and name not in UNTYPED) or name.startswith(("__i", "__r", "__mat")):
        return "Tensor"
    if name.startswith("atleast") or name in ("where", "nonzero", "unique", "unique_consecutive"):
        return "Any"
    if name.startswith(("adaptive_max", "max_pool")):
        return "Any"
    return typed(said, "Tensor")


def lines_of(name, function, method):
    """The stub of one function, with its overloads."""
    first = ["self"] if method else ["input: Tensor"]
    indent = "    " if method else ""
    overloads = OVERLOADS.get(name, []) if method or name not in OF_METHODS_ALONE else []
    if overloads:
        out = "*, out: Any = ..." if "out" in inspect.signature(function).parameters else ""
        return [
            f"{indent}@overload\n{indent}def {name}({', '.join(filter(None, [*first, more, out]))})"
            f" -> {result}: ..."
            for more, result in overloads
        ]
    if name.startswith("__") and len(arguments(function, method)) == 1 and name != "__getitem__":
        return [f"{indent}def {name}(self, other: Any) -> {returned(name, function)}: ..."]
    parts = arguments(function, method)
    shown = ", ".join(["self", *parts] if method else parts)
    return [f"{indent}def {name}({shown}) -> {returned(name, function)}: ..."]


def own_names():
    """What the classes in core say of Tensor themselves."""
    return {*vars(tensor.Tensor.__mro__[0]).get("__slots__", ()), *CORE, *vars(node.Variable)}


CORE = {"shape", "dtype", "device", "ndim", "is_leaf", "grad_fn", "detach", "data", "array", "grad",
        "requires_grad"}  # fmt: skip


def bound():
    """core/bound.pyi."""
    lines = [HEAD, "import builtins as _b", "from collections.abc import Callable, Iterable, "
             "Iterator, Mapping, Sequence", "from typing import Any, NamedTuple, overload", "",
             "from ..arrays.element_types import NDArray, dtype",
             "from ..arrays.device import Device", "from ..arrays.random import Generator",
             "from ..arrays.size import Size", "from .tensor import Tensor", ""]  # fmt: skip
    for name, fields in NAMED.items():
        lines.append(f"class {name}(NamedTuple):")
        lines += [f"    {field}: Tensor" for field in fields.split()]
        lines.append("")
    lines += ["class Bound:", "    grad: Tensor | None"]
    known = own_names()
    for name in sorted(dir(Tensor)):
        value = inspect.getattr_static(Tensor, name)
        dunder = name.startswith("__")
        if name in known or (name.startswith("_") and not dunder) or name in UNTYPED:
            continue
        if dunder and not (callable(value) and inspect.isfunction(value)):
            continue
        if isinstance(value, property):
            said = inspect.signature(value.fget).return_annotation
            lines.append(f"    @property\n    def {name}(self) -> {typed(said, 'Tensor')}: ...")
        elif inspect.isfunction(value):
            lines += lines_of(name, value, method=True)
    lines += [
        "    def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]",
        "    def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]",
    ]
    return "\n".join([*lines, ""])


def init():
    """__init__.pyi."""
    space = {n: getattr(tinygrad_opt, n) for n in dir(tinygrad_opt) if not n.startswith("__")}
    modules = sorted(
        n for n, v in space.items()
        if inspect.ismodule(v) and hasattr(v, "__file__") and n[0] != "_" and n not in LATER
    )  # fmt: skip
    lines = [HEAD, "import builtins as _b", "from collections.abc import Callable, Iterable, "
             "Iterator, Mapping, Sequence", "from typing import Any, overload", ""]  # fmt: skip
    top = [n for n in modules if space[n].__name__ == f"tinygrad_opt.{n}"]
    lines += [f"from . import {n} as {n}" for n in sorted(top)]
    lines += [
        "from .arrays.device import Device",
        "from .arrays.element_types import NDArray",
        "from .tensors.rowsparse import SparseTensor",
    ]
    lines += ["from .core.bound import " + ", ".join(sorted(NAMED))]
    functions, constants = [], []
    for name, value in sorted(space.items()):
        if inspect.ismodule(value) or name in ("annotations",):
            if name in modules and name not in top:
                lines.append(f"from {_relative(space[name].__name__)} as {name}")
        elif inspect.isclass(value):
            if not name.startswith("_"):
                lines.append(_imported(name, value))
        elif inspect.isfunction(value):
            if name.startswith("_") and not name.startswith("_foreach"):
                continue
            if value.__module__.startswith("tinygrad_opt.autograd.modes") or name in RAW:
                lines.append(f"from .{value.__module__.removeprefix('tinygrad_opt.')} import "
                             f"{value.__name__} as {name}")  # fmt: skip
            else:
                functions += lines_of(name, value, method=False)
        elif not name.startswith("_"):
            constants.append(_constant(name, value))
    constants.append("__version__: _b.str")
    body = "\n".join([*lines, "", *constants, "", *functions, ""])
    return body


LATER = {"sklearn"}  # modules that the package does not import by itself

# Functions whose own files say all of it: generic ones, classes in functions' clothes.
RAW = {"save", "load", "vmap", "summary", "draw_graph", "set_printoptions", "from_dlpack"}


def _relative(full):
    parent, _, name = full.removeprefix("tinygrad_opt").lstrip(".").rpartition(".")
    return f".{parent} import {name}"


def _imported(name, value):
    home = value.__module__
    if not home.startswith("tinygrad_opt"):
        return f"from {home} import {value.__name__} as {name}"
    module = sys.modules[home]
    known = name if getattr(module, name, None) is value else value.__name__
    if known not in vars(module) or (value.__name__.endswith("Tensor") and home.endswith("typed")):
        known = name
    line = f"from .{home.removeprefix('tinygrad_opt.')} import {known} as "
    return line + (name if known == name else f"_{known}\n{name} = _{known}")


def _constant(name, value):
    kind = type(value)
    if kind.__module__ == "builtins":
        return f"{name}: {'None' if value is None else f'_b.{kind.__name__}'}"
    if kind.__name__ in ("dtype", "layout", "memory_format", "Generator"):
        return f"{name}: {kind.__name__}"
    return f"{name}: Any"


def main():
    BOUND.write_text(bound())
    INIT.write_text(init())
    print(f"{BOUND.name}, {INIT.name}")


if __name__ == "__main__":
    main()
