"""Where in the source a public name is written.

Public functions wear faces that check arguments (`core/public.py`), operations are made of pairs
(`core/record.py`): what a reader wants to see is the function behind.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from pathlib import Path
from typing import Any

import tinygrad_opt

ROOT = Path(tinygrad_opt.__file__).resolve().parents[1]
PACKAGE = ROOT / "tinygrad_opt"
MAKERS = tuple(
    f"tinygrad_opt/{name}.py"
    for name in ("core/record", "core/public", "core/half", "tensors/layouts")
)


def relative(file: str) -> str:
    """The path from the repository's root; `tinygrad_opt/kernels/` is a link to `kernels/`."""
    if file.startswith("<"):
        return ""  # text that was made at run time
    path = Path(file).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""


@functools.cache
def definitions(path: str) -> dict[str, int]:
    """{"Class.method": line} of what a file defines, assigns or makes in a loop."""
    found: dict[str, int] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                line = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                found.setdefault(prefix + node.name, line)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                for target in ast.walk(ast.Tuple(node.targets)):
                    if isinstance(target, ast.Name):
                        found.setdefault(prefix + target.id, node.lineno)

    visit(ast.parse((ROOT / path).read_text()).body, "")
    return found


def behind(value: Any) -> Any:
    """The function that somebody wrote, behind faces, wrappers, pairs and properties."""
    for _ in range(20):
        if isinstance(value, property):
            value = value.fget
        elif hasattr(value, "pair"):
            value = value.pair
        elif hasattr(value, "__wrapped__"):
            value = value.__wrapped__
        elif getattr(value, "__code__", None) is None:
            value = getattr(value, "func", None) or getattr(value, "__call__", value)  # noqa: B004
            return inspect.unwrap(getattr(value, "__func__", value))
        elif value.__code__.co_filename.startswith("<") and "_function" in value.__globals__:
            value = value.__globals__["_function"]
        else:
            return value
    return value


def place(value: Any) -> tuple[str, int]:
    """(path from the root, line) of what `value` is made of; ("", 0) where nothing is found."""
    if inspect.isclass(value):
        return _class(value)
    if hasattr(value, "__qualname__") and not hasattr(value, "__code__"):  # an update rule
        path, line = _named(value.__module__, value.__qualname__)
        if line > 1:
            return path, line
    code = getattr(behind(value), "__code__", None)
    path = relative(code.co_filename) if code else ""
    if path and path not in MAKERS:
        return path, code.co_firstlineno
    return _named(getattr(value, "__module__", ""), getattr(value, "__name__", ""))


def _class(cls: type) -> tuple[str, int]:
    path, line = _named(cls.__module__, cls.__qualname__)
    if line:
        return path, line
    for method in vars(cls).values():
        code = getattr(getattr(method, "__func__", method), "__code__", None)
        path = relative(code.co_filename) if code else ""
        if path and (line := definitions(path).get(cls.__name__, 0)):
            return path, line
    return _named(cls.__module__, cls.__name__)


def _named(module: str, name: str) -> tuple[str, int]:
    """The definition of a name in a module; or in the file of the package that alone has it."""
    file = getattr(sys.modules.get(module), "__file__", None)
    path = relative(file) if file else ""
    if path and (line := definitions(path).get(name, 0)):
        return path, line
    last = name.rsplit(".", 1)[-1]
    files = {
        relative(m.__file__)
        for key, m in list(sys.modules.items())
        if key.startswith("tinygrad_opt") and getattr(m, "__file__", None)
    }
    found = [(p, definitions(p)[last]) for p in sorted(files - {""}) if last in definitions(p)]
    return found[0] if len(found) == 1 else (path, 1 if path else 0)


@functools.cache
def _file(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    return relative(file) if file else ""


def file_in_package(value: Any) -> str:
    """The path below `tinygrad_opt/`, as `nn/linear.py`; that of the module where none is found."""
    path, _ = place(value)
    path = path or _file(getattr(value, "__module__", ""))
    return path.removeprefix("tinygrad_opt/")


def page(path: str) -> str:
    """The file name, in `source/` of the site, of the page of a source file."""
    return f"{path.replace('/', '.')}.html"
