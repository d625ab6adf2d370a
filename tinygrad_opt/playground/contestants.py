"""Which optimizers take part, and what can be turned of each while it runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NamedTuple

from .. import optim
from ..kernels import UpdateRule
from ..optim import Optimizer, schedules
from ..optim.coefficients import USUAL, check_coefficients
from ..optim.schedules import Schedule
from ..tensors.creation import zeros
from .rule_text import TypedRule

__all__ = ["CONTESTANTS", "SCHEDULES", "Entry", "Knob", "schedule", "typed_entry"]

Value = float | int | bool


class Knob(NamedTuple):
    """A setting that can be turned.

    kind: "linear"; "log", where each decade takes as much of a slider; "rate", of an average, where
    it is how far it is from 1 that does; "whole"; "flag".  start: where it stands at first.
    """

    name: str
    kind: str
    low: float
    high: float
    start: Value


# Setting: its kind and range. Those in `_PARTS` are tuples, with a knob for each number.
_RANGES: dict[str, tuple[str, float, float]] = {
    "lr": ("log", 1e-5, 10.0), "eps": ("log", 1e-16, 1.0), "weight_decay": ("linear", 0.0, 0.2),
    "momentum": ("linear", 0.0, 0.99), "dampening": ("linear", 0.0, 1.0),
    **dict.fromkeys(("beta", "beta1", "beta2", "beta3", "alpha", "rho"), ("rate", 0.0, 0.9999)),
    "lambd": ("linear", 0.0, 0.1), "lr_decay": ("linear", 0.0, 0.1),
    "initial_accumulator_value": ("linear", 0.0, 1.0), "momentum_decay": ("linear", 0.0, 0.1),
    "eta1": ("linear", 0.1, 0.95), "eta2": ("linear", 1.01, 2.0),
    "trust_coefficient": ("log", 1e-4, 1.0), "d": ("log", 0.01, 10.0),
    "beta2_decay": ("linear", -1.0, -0.1), "d0": ("log", 1e-8, 0.1), "d_coef": ("log", 0.01, 100.0),
    "warmup_steps": ("whole", 0, 500), "precondition_frequency": ("whole", 1, 50),
    "max_iter": ("whole", 1, 20),
}  # fmt: skip
_PARTS = {"betas": "beta", "etas": "eta"}
_NO_KNOB = {"foreach", "fused", "capturable", "differentiable", "maximize", "safeguard_warmup"}


@dataclass(frozen=True)
class Entry:
    """An optimizer as it takes part.

    Attributes:
        name: what it is called in the page.
        cls: its class.
        knobs: what can be turned, with where it stands at first.
        fixed: settings that differ from the class's defaults and have no knob.
        landscape: starts that differ where a point walks down a landscape.
        note: what a visitor should know.
        text: of its rule, if somebody has typed it.
    """

    name: str
    cls: type[Optimizer]
    knobs: tuple[Knob, ...]
    fixed: dict[str, Any] = field(default_factory=dict)
    landscape: dict[str, Value] = field(default_factory=dict)
    note: str = ""
    text: str = ""

    def starts(self, on_landscape: bool = False) -> dict[str, Value]:
        """Where the knobs stand at first."""
        first = {knob.name: knob.start for knob in self.knobs}
        return {**first, **self.landscape} if on_landscape else first

    def settings(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """What the constructor takes: beta1 and beta2 are put together to betas."""
        unknown = set(values) - {knob.name for knob in self.knobs}
        if unknown:
            raise ValueError(f"{self.name} has no setting {', '.join(sorted(unknown))}")
        values = {**self.starts(), **values}
        made = dict(self.fixed)
        for several, one in _PARTS.items():
            parts = [values.pop(f"{one}{i}") for i in range(1, 4) if f"{one}{i}" in values]
            if parts:
                made[several] = tuple(parts)
        return {**made, **values}

    def make(self, params: Any, values: Mapping[str, Value]) -> Optimizer:
        """The optimizer; raises ValueError for settings that make no sense."""
        return self.cls(params, **self.settings(values))

    def turn(self, optimizer: Optimizer, values: Mapping[str, Value]) -> None:
        """Other settings for an optimizer that runs; all of them or, with ValueError, none."""
        settings = self.settings(values)
        self.cls([_nothing()], **settings)
        for group in optimizer.param_groups:
            group.update(settings)

    def rule(self, values: Mapping[str, Value]) -> UpdateRule | None:
        """The update rule for these settings; None for what has more than rules, as LBFGS."""
        optimizer = self.make([_nothing()], values)
        try:
            return optimizer.rule_for(optimizer.param_groups[0])
        except NotImplementedError:
            return None

    def formula(self) -> str:
        """What the class says of itself, without its settings, states and example."""
        text = inspect.cleandoc(self.cls.__doc__ or "").split("\n\n>>> ")[0]
        parameters = inspect.signature(self.cls).parameters.items()
        heads = tuple(f"{name} = {p.default!r}: " for name, p in parameters)
        lines: list[str] = []
        inside = False  # the list of settings
        for line in text.splitlines():
            inside = line.startswith(heads) or (inside and line.startswith("    "))
            if not inside:
                lines.append(line)
        kept = "\n".join(lines)
        return re.sub(r"^state: .*\n|^Raises .*\n", "", kept, flags=re.MULTILINE).strip()


def _nothing() -> Any:
    return zeros(1, 1, requires_grad=True)


def _entry(name: str, cls: type[Optimizer], fixed: dict[str, Any] | None = None,
           landscape: dict[str, Value] | None = None, **starts: Value) -> Entry:  # fmt: skip
    """An entry with a knob for each setting that has a range, and for each flag."""
    knobs, fixed = [], fixed or {}
    for setting, parameter in inspect.signature(cls).parameters.items():
        default = parameter.default
        if setting in _NO_KNOB or setting in fixed or setting == "params":
            continue
        if setting in _PARTS and isinstance(default, tuple):
            one = _PARTS[setting]
            parts = [(f"{one}{i + 1}", value) for i, value in enumerate(default)]
        else:
            parts = [(setting, default)]
        for part, value in parts:
            value = starts.get(part, value)
            if isinstance(value, bool):
                knobs.append(Knob(part, "flag", 0, 1, value))
            elif part in _RANGES and isinstance(value, int | float):
                kind, low, high = _RANGES[part]
                if low <= value <= high:
                    knobs.append(Knob(part, kind, low, high, value))
    return Entry(name, cls, tuple(knobs), fixed, landscape or {})


# The rates are such that spirals are learnt, and Rosenbrock's valley is walked down.
_ALL = [
    _entry("SGD", optim.SGD, lr=0.2, momentum=0.9, landscape=dict(lr=0.002)),
    _entry("Adam", optim.Adam, lr=0.02, landscape=dict(lr=0.1)),
    _entry("AdamW", optim.AdamW, lr=0.02, landscape=dict(lr=0.1)),
    _entry("Lion", optim.Lion, lr=0.003, landscape=dict(lr=0.03)),
    _entry("RMSprop", optim.RMSprop, lr=0.005, landscape=dict(lr=0.02)),
    _entry("Adagrad", optim.Adagrad, lr=0.1, landscape=dict(lr=0.5)),
    _entry("Adadelta", optim.Adadelta, lr=3.0, landscape=dict(lr=5.0)),
    _entry("Adamax", optim.Adamax, lr=0.03, landscape=dict(lr=0.15)),
    _entry("NAdam", optim.NAdam, lr=0.02, landscape=dict(lr=0.1)),
    _entry("RAdam", optim.RAdam, lr=0.02, landscape=dict(lr=0.003, beta2=0.9)),
    _entry("AdaBelief", optim.AdaBelief, lr=0.02, landscape=dict(lr=0.1)),
    _entry("ADOPT", optim.ADOPT, lr=0.02, landscape=dict(lr=0.1)),
    _entry("Adan", optim.Adan, lr=0.02, landscape=dict(lr=0.1)),
    _entry("Rprop", optim.Rprop, lr=0.01, landscape=dict(lr=0.05)),
    _entry("ASGD", optim.ASGD, lr=0.5, landscape=dict(lr=0.002)),
    _entry("LAMB", optim.LAMB, lr=0.01, landscape=dict(lr=0.02)),
    _entry("LARS", optim.LARS, lr=0.5, trust_coefficient=0.02, landscape=dict(lr=0.5)),
    _entry("Adafactor", optim.Adafactor, lr=0.05, landscape=dict(lr=0.1)),
    _entry("SOAP", optim.SOAP, lr=0.01, landscape=dict(lr=0.1)),
    _entry("Prodigy", optim.Prodigy, lr=1.0, d0=1e-3, landscape=dict(lr=1.0, d_coef=0.2)),
    _entry("SGDScheduleFree", optim.SGDScheduleFree, lr=1.0, landscape=dict(lr=0.002)),
    _entry("AdamWScheduleFree", optim.AdamWScheduleFree, lr=0.05, landscape=dict(lr=0.2)),
    _entry("LBFGS", optim.LBFGS, {"line_search_fn": "strong_wolfe"}, lr=1.0, max_iter=4),
    _entry("textbook GradientDescent", optim.textbook.GradientDescent, lr=0.5,
           landscape=dict(lr=0.001)),
    _entry("textbook Momentum", optim.textbook.Momentum, lr=1.0, landscape=dict(lr=0.01)),
    _entry("textbook RMSprop", optim.textbook.RMSprop, lr=0.005, landscape=dict(lr=0.02)),
    _entry("textbook Adam", optim.textbook.Adam, lr=0.02, landscape=dict(lr=0.1)),
]  # fmt: skip
CONTESTANTS = {entry.name: entry for entry in _ALL}


# Rules that somebody has typed --------------------------------------------------------------------


def typed_entry(typed: TypedRule, base: Entry) -> Entry:
    """An entry that runs a typed rule with the settings of `base`.

    Coefficients come from settings as they do in `base`, then by the glossary of
    `optim.coefficients`; any other is a knob of its own name, which starts at the number that the
    text gives to it, or at 0.1. Where `base` takes steps of more than one rule, Adam's settings
    take their place. Raises ValueError where coefficients do not go together.
    """
    rule, note = typed.rule, ""
    if not _runs_one_rule(base, rule):
        note = (
            f"{base.name} does more in a step than launch one rule; your rule runs alone, with the "
            "settings of Adam."
        )
        base = CONTESTANTS["Adam"]
    usual = base.rule(base.starts())
    supplied = set(usual.coefficients) if usual is not None else set()
    own = [c for c in rule.coefficients if c not in supplied and not _follows(c, base.cls)]
    extras = {name: typed.numbers.get(name, 0.1) for name in own}
    cls = _class_of(base.cls, rule, extras)
    python = _overrides(base.cls, "coefficients", "begin")
    read = _settings_read(rule, base.cls)
    knobs = [k for k in base.knobs if python or k.name in read]  # Python may read any setting
    knobs += [Knob(n, "linear", min(0.0, 2 * v), max(1.0, 2 * v), v) for n, v in extras.items()]
    if extras:
        named = ", ".join(extras)
        note += f" No setting is called {named}: there is a slider for each."
    starts = {k: v for k, v in base.landscape.items() if k in {knob.name for knob in knobs}}
    entry = replace(
        base, name=f"your {rule.name}", cls=cls, knobs=tuple(knobs), landscape=starts,
        note=note.strip(), text=typed.text,
    )  # fmt: skip
    made = entry.make([_nothing()], entry.starts())
    made.coefficients(made.param_groups[0], 1, **made.scalar_states)
    return entry


def _runs_one_rule(base: Entry, rule: UpdateRule) -> bool:
    """Whether a step of `base` is one launch of a rule, and its beginning suits this one."""
    cls = base.cls
    if _overrides(cls, "update", "step", "runs"):
        return False
    usual = base.rule(base.starts())
    begins = _overrides(cls, "begin")
    return usual is not None and (not begins or set(usual.states) <= set(rule.states))


def _overrides(cls: type[Optimizer], *methods: str) -> bool:
    return any(getattr(cls, name) is not getattr(Optimizer, name) for name in methods)


def _follows(letter: str, cls: type[Optimizer]) -> bool:
    """Whether a coefficient follows from the settings of a class."""
    known = list(inspect.signature(cls).parameters)
    alone: Any = SimpleNamespace(name="", coefficients=(letter,))
    try:
        check_coefficients(cls.__name__, alone, known, tuple(cls.own_coefficients.items()))
    except ValueError:
        return False
    return True


def _settings_read(rule: UpdateRule, cls: type[Optimizer]) -> set[str]:
    """The settings that a rule's coefficients may follow from."""
    read = set(rule.coefficients)
    for letter in rule.coefficients:
        for expression in (cls.own_coefficients.get(letter, ""), *USUAL.get(letter, ())):
            if expression:
                read |= set(compile(expression, "<coefficient>", "eval").co_names)
    for one in _PARTS.values():  # what is one setting stays together
        parts = {f"{one}{i}" for i in range(1, 4)}
        read |= parts if parts & read else set()
    return read


def _class_of(
    base: type[Optimizer], typed: UpdateRule, extras: dict[str, float]
) -> type[Optimizer]:
    """A subclass of `base` that runs the typed rule, and whose groups hold its own settings."""

    class Typed(base):  # type: ignore[misc, valid-type]
        __doc__ = typed.__doc__ or f"{str(typed)[1:-1]}, as it was typed."

        def __init__(self, params: Any, **settings: Any) -> None:
            self._extras = {name: settings.pop(name, extras[name]) for name in extras}
            super().__init__(params, **settings)

        def _group_defaults(self, settings: dict[str, Any]) -> dict[str, Any]:
            seed = {"seed": 0} if typed.draws else {}  # a race that starts anew is the same one
            return {**super()._group_defaults(settings), **self._extras, **seed}

        def rule_for(self, group: dict[str, Any]) -> UpdateRule:
            return typed

    Typed.__name__ = Typed.__qualname__ = typed.name
    if "rule" in dir(base):
        Typed.rule = typed
    return Typed


# Schedules ----------------------------------------------------------------------------------------

# Name: from the length of the race to the factor of each step.
SCHEDULES: dict[str, Any] = {
    "constant": lambda n: schedules.fixed(),
    "cosine": lambda n: schedules.cosine(T_max=n),
    "warm-up, cosine": lambda n: schedules.warmup_cosine(max(n // 10, 1), n),
    "warm-up, stable, decay": lambda n: schedules.warmup_stable_decay(
        max(n // 10, 1), n - n // 10 - n // 4, max(n // 4, 1)
    ),
    "linear": lambda n: schedules.linear(1.0, 0.0, n),
    "exponential": lambda n: schedules.exponential(gamma=0.01 ** (1 / n)),
    "step decay": lambda n: schedules.step_decay(max(n // 4, 1), gamma=0.3),
    "restarts": lambda n: schedules.cosine_restarts(T_0=max(n // 4, 1)),
    "one cycle": lambda n: schedules.one_cycle(1.0, max(n, 2)),
    "inverse root": lambda n: schedules.inverse_sqrt(max(n // 20, 1)),
}


def schedule(name: str, length: int) -> Schedule:
    """The factor of the learning rate at each step of a race of `length` steps.

    Raises ValueError for a name that is not in `SCHEDULES`.
    """
    if name not in SCHEDULES:
        raise ValueError(
            f"playground: schedule must be one of {', '.join(SCHEDULES)}, got {name!r}"
        )
    made: Schedule = SCHEDULES[name](length)
    return made
