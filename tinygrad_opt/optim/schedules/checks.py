"""Checks of a schedule's settings; each raises ValueError with the name and the bad value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def require_number(name: str, value: Any) -> None:
    """A finite number."""
    if not (isinstance(value, (int, float, Real)) and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def require_nonnegative(name: str, value: Any) -> None:
    """A finite number, at least 0; NaN fails too."""
    if not (isinstance(value, (int, float, Real)) and 0 <= float(value) < math.inf):
        raise ValueError(f"{name} must be a finite number, at least 0, got {value!r}")


def require_positive(name: str, value: Any) -> None:
    """A finite number above 0."""
    if not (isinstance(value, (int, float, Real)) and 0 < float(value) < math.inf):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def require_fraction(name: str, value: Any) -> None:
    """A number within [0, 1]."""
    if not (isinstance(value, (int, float, Real)) and 0 <= float(value) <= 1):
        raise ValueError(f"{name} must be between 0 and 1, got {value!r}")


def require_integer(name: str, value: Any, least: int) -> None:
    """A whole number, at least `least`."""
    if not (isinstance(value, (int, Integral)) and int(value) >= least):
        raise ValueError(f"{name} must be an integer, at least {least}, got {value!r}")


def require_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """One of the names in `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
