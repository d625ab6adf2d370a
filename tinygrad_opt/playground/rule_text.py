"""An update rule from text that somebody has typed.

The text runs in this process, as any Python does: it is for whoever sits before the machine. What
is let through is a rule and what goes with it (imports, numbers, functions), so that a slip is an
error with its line and not a loop without end.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import linecache
import math
import textwrap
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from ..kernels import UpdateRule, functions, update_rule

__all__ = ["TypedRule", "rule_from_text", "text_of_rule"]

_count = itertools.count(1)
_MODULES = ("math", "numpy", "tinygrad_opt")
_STATEMENTS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign)


class TypedRule(NamedTuple):
    """A rule, the numbers that its text gives names to (starts of coefficients), and the text."""

    rule: UpdateRule
    numbers: dict[str, float]
    text: str


def rule_from_text(text: str) -> TypedRule:
    """The update rule that `text` defines; the last one if it has several.

    The text may import from math, numpy and tinygrad_opt, name numbers (`k = 0.5`: where the
    coefficient k starts) and define functions. sqrt, exp and the other functions that a rule may
    call are there without an import, `update_rule` too; the decorator may be left out.

    Raises ValueError with the line and what is wrong: no Python, another kind of statement, no
    function, no rule (`RuleError`), or what the text raised.
    """
    name = f"<rule {next(_count)} of the playground>"
    try:
        tree = ast.parse(text, name)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # a null character; too deep
        raise ValueError(f"this is no Python: {error}") from error
    _check(tree)
    # inspect looks here for the source of functions whose file is none
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    scope: dict[str, Any] = {f: getattr(functions, f) for f in functions.__all__}
    scope |= {f: getattr(math, f) for f in ("sqrt", "exp", "log", "tanh", "copysign")}
    scope |= {"update_rule": update_rule, "math": math, "np": np, "__name__": "playground"}
    try:
        exec(compile(tree, name, "exec"), scope)
        found = [scope[s.name] for s in tree.body if isinstance(s, ast.FunctionDef)]
        rules = [f for f in found if isinstance(f, UpdateRule)]
        rule = rules[-1] if rules else update_rule(found[-1])
    except ValueError as error:  # RuleError among them: it speaks for itself
        raise ValueError(str(error)) from error
    except (Exception, SystemExit) as error:  # `k = exit()` would end the thread that reads this
        raise ValueError(f"{type(error).__name__}: {error}") from error
    assigned = {k: scope[k] for k in _assigned(tree)}
    numbers = {
        k: float(v) for k, v in assigned.items()
        if type(v) in (int, float) and abs(v) < 1e300  # a slider has ends
    }  # fmt: skip
    return TypedRule(rule, numbers, text)


def text_of_rule(rule: UpdateRule) -> str:
    """The rule's own Python, as it stands in its file or was typed."""
    function: FunctionType = rule.function
    return textwrap.dedent(inspect.getsource(function)).strip() + "\n"


def _check(tree: ast.Module) -> None:
    """ValueError unless the statements are those of a rule and what goes with it."""
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        if not isinstance(statement, _STATEMENTS):
            kind = type(statement).__name__.lower()
            raise ValueError(
                f"line {statement.lineno}: beside the rule the text may have imports, numbers and "
                f"functions, got a statement of the kind {kind}"
            )
        for module in _imported(statement):
            if module.split(".")[0] not in _MODULES:
                raise ValueError(
                    f"line {statement.lineno}: a rule computes with numbers; it may import from "
                    f"{', '.join(_MODULES)}, not {module!r}"
                )
    if not any(isinstance(s, ast.FunctionDef) for s in tree.body):
        raise ValueError(
            "there is no rule: define a function from parameter, gradient, states and "
            "coefficients to the new parameter and states, as in `def sgd(p, g, lr): ...`"
        )


def _imported(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [statement.module or "."]
    return []


def _assigned(tree: ast.Module) -> set[str]:
    targets = [t for s in tree.body if isinstance(s, ast.Assign) for t in s.targets]
    return {t.id for t in targets if isinstance(t, ast.Name)}
