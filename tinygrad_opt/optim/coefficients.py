"""The usual coefficients of update rules: the letters of `kernels`, computed from settings.

`USUAL` is the glossary. A rule names its coefficients by letter; an optimizer may say others
(`own_coefficients`). The expressions are put together to one function for each rule, once, so that
a step costs no more than if they had been written out. They are computed in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from math import sqrt
from typing import Any

from ..kernels import UpdateRule

__all__ = ["USUAL", "Formula", "check_coefficients", "formula_for", "step_scalars"]

# letter: expressions in the names of settings and the step t = 1, 2, ...; the first one counts of
# which the optimizer has all settings. beta1 is the first of `betas`, and so on; `lr` is a float,
# be it a Tensor in the group. A setting that is named as the letter goes before the expressions.
USUAL: dict[str, tuple[str, ...]] = {
    "sign": ("-1.0 if maximize else 1.0",),
    "lr": ("lr",),
    "eps": ("eps",),
    "wd": (
        "0.0 if decoupled_weight_decay else weight_decay",
        "0.0 if decouple else weight_decay",
        "weight_decay",
    ),
    "decay": (
        "1.0 - lr * weight_decay if decoupled_weight_decay else 1.0",
        "1.0 - lr * weight_decay if decouple else 1.0",
        "1.0 - lr * weight_decay",
    ),
    # decay rates of averages, and one minus these
    "b": ("beta",),
    "omb": ("1.0 - beta",),
    "b1": ("beta1",),
    "omb1": ("1.0 - beta1",),
    "b2": ("beta2",),
    "omb2": ("1.0 - beta2",),
    "b3": ("beta3",),
    "omb3": ("1.0 - beta3",),
    "al": ("alpha",),
    "oma": ("1.0 - alpha",),
    "rho": ("rho",),
    "omr": ("1.0 - rho",),
    # momentum; the first step takes the gradient as it is
    "mu": ("momentum",),
    "damp": ("1.0 if t == 1 else 1.0 - dampening",),
    # corrections of averages that start at zero: of g, and of roots of averages of g^2
    "c1": ("1.0 / (1.0 - beta1**t)",),
    "c2": ("1.0 / sqrt(1.0 - beta2**t)",),
    "c3": ("1.0 / sqrt(1.0 - beta3**t)",),
    # Rprop
    "shrink": ("eta1",),
    "grow": ("eta2",),
    "low": ("step_size1",),
    "high": ("step_size2",),
}

Formula = Callable[..., tuple[float, ...]]
Special = tuple[tuple[str, str], ...]  # (letter, expression)

_DECAYS = {"wd", "decay"}


def check_coefficients(
    name: str, rule: UpdateRule, known: Collection[str], special: Special = ()
) -> None:
    """ValueError unless all of the rule's coefficients follow from the settings `known`.

    `special`: expressions that go before those of the glossary.
    """
    letters = rule.coefficients
    missing = [c for c in letters if _expression(c, known, letters, special) is None]
    if missing:
        raise ValueError(
            f"{name}: the rule {rule.name} has coefficients that are no hyper-parameters: "
            f"{', '.join(missing)}; add them to the defaults, or compute them in a `coefficients` "
            "method"
        )


@lru_cache(maxsize=256)
def formula_for(
    owner: str, rule: UpdateRule, known: tuple[str, ...], own: tuple[str, ...] = (),
    special: Special = (),
) -> Formula:  # fmt: skip
    """The function (group, t, *own) -> the rule's coefficients, of which `own` are given.

    `special`: expressions that go before those of the glossary.
    Raises ValueError if one is neither given nor follows from the settings `known`.
    """
    check_coefficients(owner, rule, [*known, *own], special)
    letters = [c for c in rule.coefficients if c not in own]
    usual = {c: str(_expression(c, known, letters, special)) for c in letters}
    reads: dict[str, str] = {}  # each setting is read once
    for name in (name for expression in usual.values() for name in _names(expression)):
        if name == "t":
            continue  # the step, whatever else a setting of that name may be
        if name == "lr":
            reads["lr"] = "_float(_group['lr'])"
        elif name in known:
            reads[name] = f"_group[{name!r}]"
        elif _several(name) in known:
            reads[_several(name)] = f"_group[{_several(name)!r}]"
            reads[name] = f"{_several(name)}[{int(name[-1]) - 1}]"
    lines = [f"{name} = {value}" for name, value in reads.items()]
    arguments = ["_group", "t", *(f"own_{c}" for c in own)]
    terms = [usual.get(c, f"own_{c}") for c in rule.coefficients]
    text = [f"def formula({', '.join(arguments)}):", *lines, f"return ({', '.join(terms)},)"]
    made: dict[str, Any] = {"sqrt": sqrt, "_float": float}
    exec("\n    ".join(text), made)
    return made["formula"]


def _expression(
    letter: str, known: Collection[str], letters: Collection[str], special: Special
) -> str | None:
    """How a letter is computed from settings of these names; None if it cannot be.

    `letters`: all that the rule names. One that both draws to 0 (`wd`) and shrinks (`decay`) needs
    the setting that chooses: by `weight_decay` alone it would do both.
    """
    usual = USUAL.get(letter, ())
    if letter in dict(special):
        usual = (dict(special)[letter],)
    elif letter == "t" or (letter in known and letter != "lr"):
        return f"_float({letter})"
    elif letter in _DECAYS and set(letters) >= _DECAYS and not _DECAYS & set(known):
        usual = usual[:-1]
    for expression in usual:
        names = [name for name in _names(expression) if name not in ("t", "sqrt", "_float")]
        if all(name in known or _several(name) in known for name in names):
            return expression
    return None


def _names(expression: str) -> tuple[str, ...]:
    """The names in an expression: settings, t, functions."""
    return compile(expression, "<coefficient>", "eval").co_names


def _several(name: str) -> str:
    """The setting of which the one of this name is a part: betas for beta1."""
    return f"{name[:-1]}s" if name[-1].isdigit() else name


def step_scalars(optimizer: Any, group: dict[str, Any], run: Any, t: int) -> tuple[float, ...]:
    """The coefficients for step `t` of a run, whose scalar states move on to their next value."""
    coefficients = with_scalars(optimizer, group, run, t)
    next_scalars(optimizer, group, run, t)
    return coefficients


def with_scalars(optimizer: Any, group: dict[str, Any], run: Any, t: int) -> tuple[float, ...]:
    """The coefficients for step `t` of a run, from its scalar states as they are."""
    before = {name: values[0] for name, values in run.scalars.items()}
    coefficients: tuple[float, ...] = optimizer.coefficients(group, t, **before)
    return coefficients


def next_scalars(optimizer: Any, group: dict[str, Any], run: Any, t: int) -> None:
    """Take the scalar states of a run on, after its step `t`."""
    before = {name: values[0] for name, values in run.scalars.items()}
    for name, value in optimizer.next_scalars(group, t, **before).items():
        run.scalars[name].fill(value)
