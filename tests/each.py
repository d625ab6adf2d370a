"""Parameters that a test goes through in one item."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

import tinygrad_opt


def each(name: str, values: Iterable[Any]) -> Callable[[Any], Any]:
    """As `parametrize(name, values)`, in one item; a dict names its values.

    For tests that take a millisecond: as an item of its own each value takes three more. All are
    gone through, from the same seed; an error says which value it is of.
    """
    table = values if isinstance(values, Mapping) else {str(value): value for value in values}

    def decorate(test: Any) -> Any:
        @functools.wraps(test)
        def run(**given: Any) -> None:
            errors: list[Exception] = []
            for label, value in table.items():
                tinygrad_opt.manual_seed(0)
                try:
                    test(**given, **{name: value})
                except Exception as error:
                    error.add_note(f"{name}: {label}")
                    errors.append(error)
                except pytest.skip.Exception as skipped:
                    raise RuntimeError("one value cannot be skipped: use parametrize") from skipped
            if len(errors) == 1:
                raise errors[0]
            if errors:
                raise ExceptionGroup(f"{len(errors)} of {len(table)} values", errors)

        shown = inspect.signature(test)
        taken = [p for p in shown.parameters.values() if p.name != name]
        vars(run)["__signature__"] = shown.replace(parameters=taken)
        return run

    return decorate
