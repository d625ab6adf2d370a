"""Rules by what users write on a command line: `adam`, or `file.py:rule`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from .. import kernels
from ..kernels import UpdateRule, update_rule

__all__ = ["built_in", "find_rule"]


def built_in() -> dict[str, UpdateRule]:
    """The package's own rules, by name."""
    found = {name: getattr(kernels, name) for name in kernels.__all__}
    return {name: rule for name, rule in found.items() if isinstance(rule, UpdateRule)}


def find_rule(text: str) -> UpdateRule:
    """The rule `text`: the name of one of the package's, or FILE.py:NAME.

    A plain function in the file is made a rule. Raises ValueError where there is none, and what the
    file raises when it runs.
    """
    path, colon, name = text.rpartition(":")
    if not colon:
        rules = built_in()
        if text in rules:
            return rules[text]
        raise ValueError(
            f"no update rule {text!r}: there are {', '.join(sorted(rules))}, and your own as "
            "FILE.py:NAME"
        )
    if not Path(path).is_file():
        raise ValueError(f"no file {path!r}; a rule of yours is FILE.py:NAME")
    found = getattr(_run(Path(path)), name, None)
    if isinstance(found, UpdateRule):
        return found
    if not callable(found):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise ValueError(f"{path} has {what} called {name!r}; it must be an update rule")
    return update_rule(found)


def _run(path: Path) -> Any:
    """The file as a module, which finds its neighbours; rules are made of its text."""
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file: its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    if path.stem not in sys.modules:  # where dataclasses, for one, look; nothing is hidden by it
        sys.modules[path.stem] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module
