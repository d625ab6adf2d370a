"""What an optimizer is given: parameters, groups of them, and the settings of a group."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from ..arrays.namespace import is_writable
from ..core.tensor import Tensor, wrap_plain
from .settings import learning_rate, required

__all__ = ["param_groups_weight_decay"]


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


def checked_group(optimizer: Any, param_group: Any) -> dict[str, Any]:
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
        if key not in group and default is required:
            raise ValueError(
                f"{name}: parameter group didn't specify a value of required optimization "
                f"parameter {key}"
            )
        group.setdefault(key, default)
    learning_rate(name, "lr", group.get("lr"))
    _check_unique(name, optimizer, group["params"])
    return group


def zeroed(g: Tensor) -> Tensor:
    """A gradient of zeros, in the memory of `g` if it may be written."""
    g = g.detach() if g.requires_grad else g
    return g.zero_() if is_writable(g.array) else wrap_plain(g.array * 0)


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
            raise TypeError(f"{name}: parameters must be float32 or float64, got {p.array.dtype}")
    return params, names


def _refuse_sets(name: str, given: Any) -> None:
    if isinstance(given, (set, frozenset)):
        raise TypeError(
            f"{name}: optimizer parameters need to be organized in ordered collections, but the "
            "ordering of tensors in sets will change between runs. Please use a list instead."
        )


def _check_names_agree(name: str, optimizer: Any, names: list[str]) -> None:
    for other in optimizer.param_groups:
        if ("param_names" in other) != bool(names):
            raise ValueError(
                f"{name}: all optimizer param groups should be with/without names: earlier groups "
                f"{'have' if 'param_names' in other else 'have no'} names, the new one "
                f"{'has' if names else 'has none'}"
            )


def _check_unique(name: str, optimizer: Any, params: list[Tensor]) -> None:
    ids = {id(p) for p in params}
    if len(ids) < len(params):
        warnings.warn(
            f"{name}: optimizer contains a parameter group with duplicate parameters; in future, "
            "this will cause an error",
            stacklevel=5,
        )
    if any(id(p) in ids for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(f"{name}: some parameters appear in more than one parameter group")


# Parameter groups as they are usually wanted: weights decay, biases and norms do not --------------


_NORM = re.compile(r"Norm(\dd)?$")  # LayerNorm, BatchNorm2d, and what derives from them


def param_groups_weight_decay(
    model: Any, weight_decay: float, *, no_decay: Iterable[str] = (), decay: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Two groups for an optimizer: parameters that decay, and biases and norms, which do not.

    Without decay are parameters with less than two dimensions, those whose name ends in "bias" or
    begins with it, and those of modules whose class, or a base class, is named ...Norm; all else
    decays, embeddings too. Each parameter is in one group, frozen ones included, under its name.

    model: a Module.  weight_decay: of the first group; the second has 0.
    no_decay, decay: names of parameters that are to be in the one or the other whatever the rule
    says; `*` stands for anything: `no_decay=["embedding.*", "*.scale"]`.
    Returns dicts with "params", a list of (name, Tensor), and "weight_decay"; no empty group.
    Raises ValueError for a name in both lists, and for one that is not a parameter's.

    >>> from tinygrad_opt import nn, optim
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8))
    >>> groups = optim.param_groups_weight_decay(model, 0.1)
    >>> [[name for name, _ in group["params"]] for group in groups]
    [['0.weight'], ['0.bias', '1.weight', '1.bias']]
    >>> optimizer = optim.AdamW(groups, lr=1e-3)
    """
    named = list(model.named_parameters(remove_duplicate=False))
    without = _chosen("no_decay", no_decay, named)
    within = _chosen("decay", decay, named)
    both = sorted(name for name, p in named if p in without and p in within)
    if both:
        raise ValueError(
            f"param_groups_weight_decay: both no_decay and decay name {', '.join(both)}"
        )
    of_norms = {
        p
        for module in model.modules()
        if any(_NORM.search(cls.__name__) for cls in type(module).__mro__)
        for p in module.parameters(recurse=False)
    }
    decaying: list[tuple[str, Tensor]] = []
    others: list[tuple[str, Tensor]] = []
    for name, p in model.named_parameters():
        plain = p.ndim < 2 or p in of_norms or _is_bias(name)
        exempt = p in without or (plain and p not in within)
        (others if exempt else decaying).append((name, p))
    groups = [(decaying, weight_decay), (others, 0.0)]
    return [{"params": params, "weight_decay": wd} for params, wd in groups if params]


def _is_bias(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.startswith("bias") or last.endswith("bias")


def _chosen(what: str, patterns: Iterable[str], named: list[tuple[str, Tensor]]) -> set[Tensor]:
    """The parameters that the patterns name; a shared one by any of its names."""
    if isinstance(patterns, str):
        patterns = [patterns]
    found: set[Tensor] = set()
    for pattern in patterns:
        matches = {p for name, p in named if fnmatchcase(name, pattern)}
        if not matches:
            raise ValueError(
                f"param_groups_weight_decay: {what} names {pattern!r}, but no parameter is called "
                f"so; there are {', '.join(name for name, _ in named)}"
            )
        found |= matches
    return found
