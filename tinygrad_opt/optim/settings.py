"""Checking what optimizers are given: parameters, groups, hyper-parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..arrays.namespace import is_writable
from ..core.tensor import Tensor
from ..kernels import UpdateRule


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"

    def __reduce__(self) -> str:  # copies and pickles are the very same
        return "required"


required = _Required()  # the default of a hyper-parameter that has none


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
            check_coefficients(cls.__name__, rule, {**group, "t": 1})


def check_coefficients(name: str, rule: UpdateRule, known: dict[str, Any]) -> None:
    """ValueError unless all of the rule's coefficients are known."""
    missing = [c for c in rule.coefficients if c not in known]
    if missing:
        raise ValueError(
            f"{name}: the rule {rule.name} has coefficients that are no hyper-parameters: "
            f"{', '.join(missing)}; add them to the defaults, or compute them in a `coefficients` "
            "method"
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


# Hyper-parameters ---------------------------------------------------------------------------------


def check_lr(name: str, lr: Any) -> None:
    """Raises unless `lr` is a number of at least 0, or a Tensor of one element."""
    if lr is None or lr is required:
        return
    if isinstance(lr, Tensor):
        if lr.array.size != 1:
            raise ValueError(f"{name}: Tensor lr must be 1-element, got shape {tuple(lr.shape)}")
        lr = lr.item()
    check_at_least_zero(name, "learning rate", lr)


def check_rate(name: str, lr: Any) -> None:
    """Part of `check_lr`, in the words of PyTorch's newer optimizers."""
    value = lr.item() if isinstance(lr, Tensor) and lr.array.size == 1 else lr
    if not isinstance(value, Tensor) and not value >= 0:
        raise ValueError(f"{name}: Learning rate should be >= 0 but is: {value}")


def check_at_least_zero(name: str, what: str, value: Any) -> None:
    """Raises ValueError unless `value` >= 0; `what` is PyTorch's word for it."""
    if not value >= 0.0 or math.isnan(value):
        raise ValueError(f"{name}: Invalid {what}: {value} (must be at least 0)")


def check_betas(name: str, betas: Any) -> None:
    """Raises ValueError unless every beta is in [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(
                f"{name}: Invalid beta parameter at index {i}: {beta} (betas[{i}] must be in "
                f"[0, 1), got {beta})"
            )


def check_flags(
    name: str, foreach: bool | None, fused: bool | None, differentiable: bool | None = False
) -> None:
    """PyTorch's choice of implementation: accepted, since here there is one, and it is fused."""
    if foreach and fused:
        raise RuntimeError(f"{name}: `fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise RuntimeError(
            f"{name}: differentiable=True is not supported: a fused step cannot be recorded"
        )
