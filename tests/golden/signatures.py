"""Makes signatures.json: the arguments of every public name, as PyTorch takes them.

What PyTorch writes in Python says so itself; what it writes in C++ has a schema for each overload,
whose `self` the functions call `input`. An overload is a list of [name, how, type, default], where
`how` is "any" (by place or name), "name" (by name only), "*" or "**", and the default is Python
source, or None where there is none.

    make golden          (needs the extra `peers`)
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path

TARGET = Path(__file__).with_name("signatures.json")

# Where public names live, under the package: module, or module and class.
NAMESPACES = (
    "", "Tensor", "linalg", "nn", "nn.functional", "nn.init", "nn.utils", "optim",
    "optim.lr_scheduler", "optim.swa_utils", "autograd", "func",
)  # fmt: skip
_KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "any",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "any",
    inspect.Parameter.KEYWORD_ONLY: "name",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}
_NOT_OFFERED = ("Dimname", "Stream", "__torch__", "Storage")  # types that are not here


def namespace(package, name):
    """The module or class of `name` under `package` ("torch" or "tinygrad_opt")."""
    if name == "Tensor":
        return importlib.import_module(package).Tensor
    return importlib.import_module(f"{package}.{name}" if name else package)


def public(space):
    """The public names of a namespace that can be called, modules aside."""
    names = getattr(space, "__all__", None) or dir(space)
    return sorted(n for n in names if not n.startswith("_") and callable(getattr(space, n, None)))


def overloads(torch, where, name, function):
    """PyTorch's signatures of one name."""
    try:
        signature = inspect.signature(_unwrapped(function))
    except (TypeError, ValueError):
        return _from_schemas(torch, where, name, function)
    shown = [p for p in signature.parameters.values() if p.name != "self"]
    if [p.name for p in shown] == ["args", "kwargs"]:  # which says nothing
        return []
    return [[[p.name, _KINDS[p.kind], "", _source(p.default)] for p in shown]]


def _unwrapped(function):
    """What a function that chooses by a flag, or that only warns, calls in the end."""
    while inspect.isfunction(function):
        inner = inspect.getclosurevars(function).nonlocals
        found = [inner[key] for key in ("if_false", "meth") if key in inner]
        if not found:
            break
        function = found[0]
    return function


def _from_schemas(torch, where, name, function):
    full = f"linalg_{name}" if where == "linalg" else name
    found = torch._C._jit_get_schemas_for_operator(f"aten::{full}")
    rows = []
    for schema in found:
        types = [str(argument.type) for argument in schema.arguments]
        told = " ".join(types)
        written = any(a.kwarg_only and a.is_out for a in schema.arguments)
        names = {a.name for a in schema.arguments}
        scripted = names & {"t", "reverse"} or names == {"a", "b"}  # overloads of TorchScript
        if written or scripted or any(word in told for word in _NOT_OFFERED):
            continue
        row = [_argument(a, t, where) for a, t in zip(schema.arguments, types, strict=True)]
        row = [part for part in row if part is not None]
        if where == "Tensor" and not (schema.arguments and schema.arguments[0].name == "self"
                                      and types[0] == "Tensor"):  # fmt: skip
            continue
        rows.append((any("Tensor" in kind for kind in types), row))
    taken = [row for with_tensor, row in rows if with_tensor] or [row for _, row in rows]
    taken = [row for i, row in enumerate(taken) if row not in taken[:i]]
    if where != "Tensor" and any(_takes_out(function, row) for row in taken):
        return [[*row, ["out", "name", "Optional[Tensor]", "None"]] for row in taken]
    return taken


def _takes_out(function, row):
    """Whether a function of PyTorch's takes `out`; its parser says so when it is given nonsense."""
    some = _values()
    for given in (row, [part for part in row if part[3] is None]):
        kinds = [(name, how, kind.removeprefix("Optional[").rstrip("]") if "Opt" in kind else kind)
                 for name, how, kind, _ in given]  # fmt: skip
        if not all(kind in some for _, _, kind in kinds):
            continue
        try:
            function(*(some[kind] for _, how, kind in kinds if how == "any"),
                     **{name: some[kind] for name, how, kind in kinds if how == "name"},
                     out=object())  # fmt: skip
        except TypeError as error:
            if "argument 'out' must be" in str(error) or "Tensor out" in str(error):
                return True
    return False


def _values():
    import torch

    x = torch.ones(2, 2)
    return {
        "Tensor": x, "number": 1, "float": 1.0, "int": 1, "bool": True, "str": "x",
        "List[Tensor]": [x], "List[int]": [1], "List[float]": [1.0],
    }  # fmt: skip


def _argument(argument, kind, where):
    name = argument.name
    if name == "self":
        if where == "Tensor":
            return None
        name = "input"
    default = _source(argument.default_value) if argument.has_default_value() else None
    return [name, "name" if argument.kwarg_only else "any", kind, default]


def _source(value):
    if value is inspect.Parameter.empty:
        return None
    text = repr(value)
    return "..." if re.search(r"[<]| at 0x", text) else text


def table():
    """{namespace: {name: overloads}} of all names that both have."""
    import torch

    found = {}
    for where in NAMESPACES:
        ours, theirs = namespace("tinygrad_opt", where), namespace("torch", where)
        rows = {}
        for name in public(ours):
            function = getattr(theirs, name, None)
            made = function is not None and overloads(torch, where, name, function)
            if made:
                rows[name] = made
        found[where] = rows
    return found


def text_of(found):
    """The table with a line for each name, so that a change shows in a diff."""
    spaces = []
    for where, rows in found.items():
        lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(row)}" for n, row in rows.items())
        spaces.append(f"{json.dumps(where)}: {{\n{lines}\n}}")
    return "{\n" + ",\n".join(spaces) + "\n}\n"


def main():
    found = table()
    TARGET.write_text(text_of(found))
    print(f"{TARGET.name}: {sum(map(len, found.values()))} rows")


if __name__ == "__main__":
    main()
