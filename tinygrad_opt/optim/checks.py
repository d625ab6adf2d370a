"""Checking an optimizer before it steps: its rule, and the memory of its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..arrays.namespace import is_writable
from ..core.tensor import Tensor
from ..kernels import UpdateRule
from .coefficients import check_coefficients
from .drawing import check_seed
from .settings import state_dtype

__all__ = [
    "check_float32", "check_rule", "check_state_dtype", "check_writable", "no_rule", "place_of",
    "refuse_rows",
]  # fmt: skip


def check_rule(optimizer: Any, base: type) -> None:
    """Raise where the class names a rule that its steps could not run.

    Hyper-parameters are looked for where the steps are those of `base`: only then is each
    coefficient one of them.
    """
    cls, rule = type(optimizer), getattr(optimizer, "rule", None)
    if rule is None:
        return  # `rule_for` or `step` does without
    if not isinstance(rule, UpdateRule):
        raise TypeError(
            f"{cls.__name__}.rule must be an @update_rule, got a {type(rule).__name__}; decorate "
            "the function with @update_rule"
        )
    own = ("rule_for", "coefficients", "update", "step")
    if all(getattr(cls, name) is getattr(base, name) for name in own):
        for group in optimizer.param_groups:
            known = [*group, *optimizer.scalar_states]
            special = tuple(optimizer.own_coefficients.items())
            check_coefficients(cls.__name__, rule, known, special)
            check_seed(cls.__name__, rule, group)


def no_rule(name: str) -> NotImplementedError:
    """The error of an optimizer that does not say what a step is."""
    return NotImplementedError(
        f"{name} has no update rule: set the class attribute `rule` to an @update_rule, or define "
        "`rule_for` or `step`"
    )


def refuse_rows(name: str) -> RuntimeError:
    """The error of an optimizer that steps no single rows of a parameter."""
    return RuntimeError(
        f"{name} does not support sparse gradients, please consider SparseAdam instead, or make "
        "them dense: p.grad = p.grad.to_dense()"
    )


def place_of(optimizer: Any, p: Tensor) -> str:
    """How a user writes this parameter: its group, and its number there."""
    for i, group in enumerate(optimizer.param_groups):
        for j, other in enumerate(group["params"]):
            if other is p:
                return f"param_groups[{i}]['params'][{j}]"
    return "a parameter"


def check_writable(optimizer: Any, params: Iterable[Tensor]) -> None:
    """Raises RuntimeError for a parameter whose memory may only be read."""
    for p in params:
        if not is_writable(p.array):
            raise RuntimeError(
                f"{type(optimizer).__name__}: the memory of {place_of(optimizer, p)} may only be "
                "read (a read-only array, or one that was expanded); give the parameter its own: "
                "p.data = p.data.clone()"
            )


def check_state_dtype(name: str, declared: Any, settings: dict[str, Any]) -> None:
    """Raise where states of 16 bits are asked for and cannot be.

    declared: the settings of the optimizer's class; one that declares none may have any.
    """
    if settings.get("state_dtype") is None:
        return
    if declared and "state_dtype" not in declared:
        raise ValueError(
            f"{name}: state_dtype={settings['state_dtype']!r} is not possible: what it keeps must "
            "not be rounded"
        )
    state_dtype(name, "state_dtype", settings["state_dtype"])
    check_float32(name, settings.get("params", ()))


def check_float32(name: str, params: Iterable[Any]) -> None:
    """Raise TypeError unless states of 16 bits go with these parameters."""
    for p in params:
        if p.dtype != np.float32:
            raise TypeError(
                f"{name}: state_dtype='bfloat16' goes with float32 parameters, got one of "
                f"{p.array.dtype}; leave it out of that group"
            )
