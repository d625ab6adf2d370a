"""Parameter groups as they are usually wanted: weights decay, biases and norms do not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from .._tensor import Tensor

__all__ = ["param_groups_weight_decay"]

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
    Raises ValueError for a name in both lists, and for one that is no parameter's.

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
