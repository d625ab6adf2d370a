"""Write `lr_scheduler/decay.pyi`: the constructors that follow from schedules, for type checkers.

Run by `make golden`; tests/test_types.py holds that the file is up to date.
"""

import inspect
from pathlib import Path

from tinygrad_opt.optim.lr_scheduler import decay

PATH = Path(decay.__file__).with_suffix(".pyi")
HEAD = '''"""Written by tests/golden/stubs.py from decay.py; change that, not this."""

from collections.abc import Iterable
from typing import Any

from ..learning_rates import Rate
from ..optimizer import Optimizer
from ..schedules import Schedule
from .base import LRScheduler
from .factor import FactorScheduler

'''


def stub() -> str:
    """The text of the file: of each scheduler its base, its constructor and its own methods."""
    classes = [_class(getattr(decay, name)) for name in sorted(decay.__all__)]
    public = {value: name for name, value in vars(decay).items() if name in decay.__all__}
    aliases = [
        f"{name} = {public[value]}\n"
        for name, value in vars(decay).items()
        if name not in decay.__all__ and inspect.isclass(value) and value in public
    ]
    return HEAD + "\n".join(classes + aliases)


def _class(kind: type) -> str:
    base = next(c for c in kind.__mro__[1:] if c.__name__ in ("FactorScheduler", "LRScheduler"))
    methods = {"__init__": kind.__init__}
    methods |= {n: f for n, f in vars(kind).items() if n[0] != "_" and inspect.isfunction(f)}
    lines = [_method(name, function) for name, function in methods.items()]
    return f"class {kind.__name__}({base.__name__}):\n" + "".join(lines)


def _method(name: str, function) -> str:
    signature = inspect.signature(function)
    arguments = [_argument(p) for p in list(signature.parameters.values())]
    arguments = arguments if arguments[0] == "self" else ["self", *arguments]
    return f"    def {name}({', '.join(arguments)}) -> {signature.return_annotation}: ...\n"


def _argument(p: inspect.Parameter) -> str:
    kind = "" if p.annotation is p.empty else f": {p.annotation}"
    return p.name + kind + ("" if p.default is p.empty else f" = {p.default!r}")


if __name__ == "__main__":
    PATH.write_text(stub())
