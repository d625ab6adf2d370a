"""Checking what optimizers are given: parameters, groups, hyper-parameters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from ..backend import is_writable
from ..kernels import UpdateRule

if TYPE_CHECKING:
    from .optimizer import Optimizer


def as_groups(name: str, params: Any) -> list[dict[str, Any]]:
    """`params` as a list of group dicts, whichever of the three forms it has."""
    if isinstance(params, Tensor):
        raise TypeError(
            f"{name}: params argument given to the optimizer should be an iterable of Tensors or "
            "dicts, but got a Tensor; pass [tensor] or model.parameters()"
        )
    _refuse_sets(name, params)
    if not isinstance(params, Iterable):
        raise TypeError(
            f"{name}: params argument given to the optimizer should be an iterable of Tensors or "
            f"dicts, but got {type(params).__name__}; pass model.parameters()"
        )
    items: list[Any] = list(params)
    if not items:
        raise ValueError(
            f"{name}: optimizer got an empty parameter list: an iterator that was read before, or "
            "a model without parameters (layers in a plain list belong in an nn.ModuleList)"
        )
    if isinstance(items[0], dict):
        return items
    return [{"params": items}]


def check_rule(optimizer: Optimizer) -> None:
    """Raise where the class names a rule that its steps could not run.

    Hyper-parameters are looked for where the steps are the base class's own: only then is each
    coefficient one of them.
    """
    from .optimizer import Optimizer

    cls, rule = type(optimizer), getattr(optimizer, "rule", None)
    if rule is None:
        return  # `rule_for` or `step` does without
    if not isinstance(rule, UpdateRule):
        raise TypeError(
            f"{cls.__name__}.rule must be an @update_rule, got a {type(rule).__name__}; decorate "
            "the function with @update_rule"
        )
    own = ("rule_for", "coefficients", "update", "step")
    if all(getattr(cls, name) is getattr(Optimizer, name) for name in own):
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


def checked_group(optimizer: Optimizer, param_group: Any) -> dict[str, Any]:
    """A complete group made of `param_group` and the defaults; `param_group` is left alone."""
    name = type(optimizer).__name__
    if not isinstance(param_group, dict):
        raise TypeError(f"{name}: param_group must be a dict, but got {type(param_group)}")
    if "params" not in param_group:
        raise ValueError(f"{name}: a param_group needs a 'params' entry, got {list(param_group)}")
    group = dict(param_group)
    group["params"], names = _tensors(name, group["params"])
    if names:
        group["param_names"] = names
    _check_names_agree(name, optimizer, names)
    number = len(optimizer.param_groups)
    sparse = [[number, i] for i, p in enumerate(group["params"]) if p.is_sparse]
    if sparse:
        raise ValueError(
            f"Sparse params at indices {sparse}: {name} requires dense parameter tensors"
        )
    for key, default in optimizer.defaults.items():
        if key not in group and repr(default) == "<required parameter>":
            raise ValueError(
                f"{name}: parameter group didn't specify a value of required optimization "
                f"parameter {key}"
            )
        group.setdefault(key, default)
    check_lr(name, group.get("lr"))
    _check_unique(name, optimizer, group["params"])
    return group


def _tensors(name: str, given: Any) -> tuple[list[Tensor], list[str]]:
    """The Tensors of a group, and their names if it was given as (name, Tensor) pairs."""
    _refuse_sets(name, given)
    items: list[Any] = [given] if isinstance(given, Tensor) else list(given)
    named = [isinstance(x, tuple) and len(x) == 2 and isinstance(x[0], str) for x in items]
    if any(named) and not all(named):
        raise ValueError(
            f"{name}: all optimizer params should be with/without names. Some param names are "
            "missing"
        )
    names = [x[0] for x in items] if items and named[0] else []
    params = [x[1] for x in items] if names else items
    for p in params:
        if not isinstance(p, Tensor):
            raise TypeError(
                f"{name}: optimizer can only optimize Tensors, but one of the params is "
                f"{type(p).__name__}"
            )
        if p.node is not None:
            raise ValueError(
                f"{name}: can't optimize a non-leaf Tensor (it was made by {p.node.name()}); "
                "detach it first: tensor.detach().requires_grad_()"
            )
        if p.dtype.kind != "f" or p.dtype.itemsize not in (4, 8):
            raise TypeError(f"{name}: parameters must be float32 or float64, got {p.dtype}")
    return params, names


def _refuse_sets(name: str, given: Any) -> None:
    if isinstance(given, (set, frozenset)):
        raise TypeError(
            f"{name}: optimizer parameters need to be organized in ordered collections, but the "
            "ordering of tensors in sets will change between runs. Please use a list instead."
        )


def _check_names_agree(name: str, optimizer: Optimizer, names: list[str]) -> None:
    for other in optimizer.param_groups:
        if ("param_names" in other) != bool(names):
            raise ValueError(
                f"{name}: all optimizer param groups should be with/without names: earlier groups "
                f"{'have' if 'param_names' in other else 'have no'} names, the new one "
                f"{'has' if names else 'has none'}"
            )


def _check_unique(name: str, optimizer: Optimizer, params: list[Tensor]) -> None:
    ids = {id(p) for p in params}
    if len(ids) < len(params):
        warnings.warn(
            f"{name}: optimizer contains a parameter group with duplicate parameters; in future, "
            "this will cause an error",
            stacklevel=5,
        )
    if any(id(p) in ids for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(f"{name}: some parameters appear in more than one parameter group")


def place_of(optimizer: Optimizer, p: Tensor) -> str:
    """How a user writes this parameter: its group, and its number there."""
    for i, group in enumerate(optimizer.param_groups):
        for j, other in enumerate(group["params"]):
            if other is p:
                return f"param_groups[{i}]['params'][{j}]"
    return "a parameter"


def check_writable(optimizer: Optimizer, params: Iterable[Tensor]) -> None:
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
    if lr is None or repr(lr) == "<required parameter>":
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
