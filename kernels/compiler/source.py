"""The text of a function, held against the code that runs.

Python does not keep the text that it compiled. What stands in the file today may be another one,
and the line that the function remembers may be its neighbour's. So the whole text is compiled
again, and only a definition whose code is that of the function counts as its text.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import functools
import inspect
import re
import threading
import tokenize
import warnings
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any, NoReturn

from .trees import tree_of

_FUTURE = functools.reduce(
    int.__or__, (getattr(__future__, n).compiler_flag for n in __future__.all_feature_names)
)

# The names of all that exec and a prompt run; Python 3.13 keeps that of `python -c` as <string>.
_SHARED = ("<string>", "<stdin>")

# A line that imports, whole.
_IMPORT = re.compile(
    r"(import|from [\w.]+ import) [\w.]+( as \w+)?(, *[\w.]+( as \w+)?)*\s*(#.*)?$"
)

# What makes two code objects compute the same, whatever their places in a file; and the constants.
_PARTS = (
    "co_code", "co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_names",
    "co_varnames", "co_freevars", "co_cellvars",
)  # fmt: skip


def definition(function: FunctionType, fail: Callable[[str], NoReturn]) -> ast.FunctionDef:
    """Return the syntax tree of `function`; call `fail` with what is wrong if it has none."""
    code = function.__code__
    no_source = (
        "Python keeps no source for it ({}); write the rule in a file or a notebook cell, not at a "
        "bare prompt or in exec"
    )
    try:
        lines, _ = inspect.findsource(function)
    except (OSError, TypeError) as error:
        fail(no_source.format(error))
    found: list[tuple[ast.FunctionDef, CodeType]] = []
    for text in _texts(lines, code.co_firstlineno):
        definitions = _compiled(text, code.co_filename, code.co_flags & _FUTURE)
        found = [(node, made) for node, made in definitions if _same(made, code)]
        if found:
            break
    # Of twins any will do: they say the same. Take the one in the function's own line.
    found.sort(key=lambda pair: pair[1].co_firstlineno != code.co_firstlineno)
    if not found and code.co_filename in _SHARED:
        fail(no_source.format(f"the text called {code.co_filename} is another one"))
    if not found:
        fail(
            f"the text in {code.co_filename} is not that of the function that runs: it was changed "
            "after it was loaded, or something rewrote the function; load it again"
        )
    return found[0][0]


def first_line(node: ast.FunctionDef) -> int:
    """Return the line in which a definition begins: that of its first decorator, if it has one."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _texts(lines: list[str], first: int) -> Iterator[str]:
    """Where to look for a definition: what begins in this line, if it is the file's; the file.

    Most are found at once, and a file's tree may take megabytes. What is imported stands before
    them: CPython has other code for `math.sqrt(x)` where `math` is imported at the file's head.
    """
    if first <= len(lines) and lines[first - 1][:1] not in ("", " ", "\t"):
        with contextlib.suppress(SyntaxError, tokenize.TokenError):  # the text was changed
            head = (line if _IMPORT.match(line) else "\n" for line in lines[: first - 1])
            yield "".join([*head, *inspect.getblock(lines[first - 1 :])])
    yield "".join(lines)


@functools.lru_cache(maxsize=2)  # a file's rules come one after the other
def _compiled(text: str, file: str, future: int) -> list[tuple[ast.FunctionDef, CodeType]]:
    """Return each definition in `text` with its code; none if the text cannot be compiled."""
    flags = future | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # notebooks have it
    with _quiet():
        try:
            tree = tree_of(text, file, flags=flags)
            module = compile(tree, file, "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError):
            return []
    nodes = {
        (node.name, first_line(node)): node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    places = ((made, (made.co_name, made.co_firstlineno)) for made in _codes(module))
    return [(nodes[place], made) for made, place in places if place in nodes]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that were given when a text was loaded.

    But whoever does so changes what all threads hear of: that is left to the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _codes(code: CodeType) -> Iterator[CodeType]:
    """All code objects within `code`, to any depth."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _same(a: Any, b: Any) -> bool:
    """Whether two code objects, or two constants of code, are the same; 1, 1.0 and True are not."""
    if not (isinstance(a, CodeType) and isinstance(b, CodeType)):
        return type(a) is type(b) and repr(a) == repr(b)
    return (
        all(getattr(a, name) == getattr(b, name) for name in _PARTS)
        and len(a.co_consts) == len(b.co_consts)
        and all(map(_same, a.co_consts, b.co_consts))
    )
