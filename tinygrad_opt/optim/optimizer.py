"""Optimizer: groups, state, and taking a step; the mathematics is in the update rules.

Eleventh of the reading path; next: `optim/flat.py`, where the parameters lie.

A subclass names its update rule and its hyper-parameters:

    class Momentum(Optimizer):
        rule = momentum                       # an @update_rule; its coefficients are lr and beta
        def __init__(self, params, lr=0.1, beta=0.9):
            super().__init__(params, dict(lr=lr, beta=beta))

The base class does the rest: parameter groups, flat buffers, fused launches, state dicts. The
usual coefficients that are not hyper-parameters (`sign`, `omb1`, `c1`: the glossary of
`coefficients.py`) follow from those; others are computed in `coefficients`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..autograd.modes import enable_grad
from ..core.tensor import Tensor
from ..kernels import UpdateRule
from . import cautious, drawing
from .checks import check_rule, check_state_dtype, check_writable, no_rule, refuse_rows
from .coefficients import Formula, formula_for, step_scalars
from .elsewhere import broken_runs
from .flat import FlatGroup, Run, flatten
from .hooks import (
    everywhere,
    hooked_step,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    wrap_own_methods,
)
from .parameters import as_groups, checked_group, zeroed
from .placing import all_as_left, place_state, prepare_kernels, show_new_state
from .saving import Saved
from .settings import Setting, check_declared, learning_rate, required
from .state import Edits, State

__all__ = [
    "Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook",
    "required",
]  # fmt: skip


class Optimizer(Saved):
    """Base class of all optimizers.

    params: an iterable of Tensors that require a gradient, of dicts with a "params" entry and
    settings of their own, or of (name, Tensor) pairs.
    defaults: the hyper-parameters and their values where a group names none.

    param_groups  list of dicts: the settings of each group, and its "params"
    state         Tensor -> dict of its state Tensors, views into the flat buffers
    defaults      what a group gets that does not say otherwise

    Raises TypeError for a Tensor, a set or something that holds no Tensors, ValueError for an empty
    list, a non-leaf, or a parameter in two groups.
    """

    _declared: dict[str, Setting] = {}  # noqa: RUF012  what `@declared` found in the class body
    rule: UpdateRule  # which rule to run; `rule_for` may choose by group
    own_coefficients: dict[str, str] = {}  # noqa: RUF012  letters -> expressions in settings and t
    state_names: dict[str, str] = {}  # noqa: RUF012  the rule's letters -> names in `state`
    more_states: tuple[str, ...] = ()  # letters of states that are flat too, but not the rule's
    scalar_states: dict[str, float] = {}  # noqa: RUF012  one number per parameter, and its start
    free_states: tuple[str, ...] = ()  # names in `state` that need not have the parameter's shape
    late_states: tuple[str, ...] = ()  # letters of states that may be missing: then they are zeros
    counts_steps = True  # whether `state` shows the step count, as PyTorch's "step"

    _opt_called = False  # whether step() has run: schedulers warn if they come first
    _stepping = False  # whether hooks are seen to: a step may call that of its base class

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.check_settings(defaults)  # before `params` is looked at, as in PyTorch
        learning_rate(type(self).__name__, "lr", defaults.get("lr"))
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._formulas: dict[Any, Formula] = {}  # how the coefficients of each rule are computed
        self._edits = Edits()
        self.state: Any = State(self._edits)
        self._flat: list[list[FlatGroup]] | None = None  # made at the first step
        self._seen: list[list[Tensor]] = []  # the parameters of each group when that was made
        for group in as_groups(type(self).__name__, params):
            self.add_param_group(group)
        check_rule(self, Optimizer)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        wrap_own_methods(cls)

    # What a subclass may define -------------------------------------------------------------------

    def rule_for(self, group: dict[str, Any]) -> UpdateRule:
        """The update rule for a group's settings."""
        rule = getattr(self, "rule", None)
        if rule is None:
            raise no_rule(type(self).__name__)
        return rule

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        """The rule's coefficients at step `t` (1, 2, ...), computed in double precision.

        Each is the setting of the same name, or follows from settings as `own_coefficients` or the
        glossary in `coefficients.py` says. Who computes some of them himself returns `usual` with
        these. A class with `scalar_states` gets their values before the step as keywords, of the
        type they are stored in.
        """
        try:
            return self._formulas[self.rule_for(group), len(group)](group, t)
        except KeyError:  # the first step, or a setting was taken out of the group
            self._formulas.clear()
            return self.usual(group, t)

    def usual(
        self, group: dict[str, Any], t: int, rule: UpdateRule | None = None, **own: Any
    ) -> tuple[float, ...]:
        """The coefficients of `rule`, or of the group's; those in `own` as given there."""
        rule = rule or self.rule_for(group)
        key = (rule, len(group), *own)
        formula = self._formulas.get(key)
        if formula is None:
            special = tuple(self.own_coefficients.items())
            formula = formula_for(type(self).__name__, rule, tuple(group), tuple(own), special)
            self._formulas[key] = formula
        return formula(group, t, *own.values())

    def next_scalars(self, group: dict[str, Any], t: int, **scalars: Any) -> dict[str, Any]:
        """The `scalar_states` after step `t`, from those before it."""
        return scalars

    def begin(self, group: dict[str, Any], rule: UpdateRule, run: Run) -> None:
        """Fills the states before the first step of the run's parameters; they hold zeros."""

    def takes_rows(self, group: dict[str, Any]) -> bool:
        """Whether of a row-sparse gradient only the rows are stepped; False: it is made dense.

        Raises RuntimeError where neither makes sense, as for most: rows that were not looked up
        would have to move on too, with their averages and decay.
        """
        raise refuse_rows(type(self).__name__)

    def update(self, group: dict[str, Any], rule: UpdateRule, run: Run, t: int) -> None:
        """Step `t` of a run: one launch of the rule.

        Override it where a step needs more than one element at a time: reduce over `run.parts()`,
        then launch rules for what is left.
        """
        coefficients = self.coefficients_of(group, run, t)
        if group.get("cautious"):
            cautious.launch(rule, run, coefficients, t)
        else:
            run.launch(rule, coefficients, t)

    # Groups ---------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group: a dict with "params", and settings that differ from the defaults."""
        group = checked_group(self, param_group)
        self.check_settings(group)
        self.param_groups.append(group)

    def _group_defaults(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What groups hold by default: the declared settings as given, and what a class adds."""
        off = {"cautious": False, "state_dtype": None}  # then they are left out: as in PyTorch
        return {k: v for k, v in settings.items() if k not in off or v is not off[k]}

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Raises for settings that make no sense; given the defaults, then every group."""
        check_declared(type(self).__name__, self._declared, settings)
        check_state_dtype(type(self).__name__, self._declared, settings)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients: sets them to None, or with `set_to_none=False` to zero."""
        prepare_kernels(self, Optimizer)
        for group in self.param_groups:
            for p in group["params"]:
                p._grad = None if set_to_none or p._grad is None else zeroed(p._grad)

    # Steps ----------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; returns what `closure` returned, if given.

        `closure`: evaluates the model again and returns the loss; called once, recording enabled.
        Parameters whose `.grad` is None are skipped: no decay, no change of state or step count.
        """
        self._opt_called = True
        if (self._hooks or everywhere.before_step or everywhere.after_step) and not self._stepping:
            return hooked_step(self, Optimizer.step, () if closure is None else (closure,), {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        # Kernels work on raw arrays: nothing here would be recorded, so no_grad() is not needed.
        for group, rule, run in self.runs():
            t = run.taken + 1
            self.update(group, rule, run, t)
            run.finish(t)
        return loss

    def runs(self) -> Iterator[tuple[dict[str, Any], UpdateRule, Run]]:
        """What there is to step: parameters that have a gradient, as few runs as possible.

        Each with its group and rule. Whatever may be refused is asked of all groups first: then
        everything is as it was. State that a parameter's first step needs is made here.
        """
        edits, plans, groups = self._edits, [], self.param_groups
        for i, flats in enumerate(self._flat_groups()):
            group = groups[i]
            rule = self.rule_for(group)
            states, by_rows = rule.states + self.more_states, False
            narrow = bool(rule.states and group.get("state_dtype"))
            if rule.draws:
                drawing.prepare(self, i)
            for flat in flats:
                if not flat.at_home:
                    check_writable(self, [p for p in flat.params if p._grad is not None])
                    by_rows = flat.has_rows() and self.takes_rows(group)
                if flat.shown != states or flat.narrow != narrow:  # settings brought in others
                    edits.made = True
                plans.append((group, rule, states, flat, by_rows))
        if edits.made or self.state is not self._noted or (edits.plain and edits.in_plain_dicts()):
            place_state(self, self._flat or [], edits)
        for group, rule, states, flat, by_rows in plans:
            whole = flat.whole(states)
            runs = broken_runs(flat, states, by_rows) if whole is None else (whole,)
            for run in runs:
                if flat.fresh or run.host is not None:
                    for first in show_new_state(self, rule, run.host or flat, run):
                        self.begin(group, rule, first)
                yield group, rule, run

    def coefficients_of(self, group: dict[str, Any], run: Run, t: int) -> tuple[float, ...]:
        """The coefficients for step `t` of a run; its scalar states move on to their next value."""
        if not self.scalar_states:
            return self.coefficients(group, t)
        return step_scalars(self, group, run, t)

    def _flat_groups(self) -> list[list[FlatGroup]]:
        """The flat buffers; made anew if groups or parameters are not those that they hold."""
        if self._flat is None or not all_as_left(self._flat, self._seen, self.param_groups):
            self._flat = None  # lets go of the old buffers, so that parameters may move again
            self._seen = [list(group["params"]) for group in self.param_groups]
            self._flat = [flatten(params) for params in self._seen]
            for number, flat in enumerate(flat for flats in self._flat for flat in flats):
                flat.number = number
                flat.ready()
            self._edits.made = True
        return self._flat
