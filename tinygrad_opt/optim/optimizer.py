"""Optimizer: groups, state, and taking a step; the mathematics is in the update rules.

Eleventh of the reading path; next: `optim/flat.py`, where the parameters lie.

A subclass names its update rule and its hyper-parameters:

    class Momentum(Optimizer):
        rule = momentum                       # an @update_rule; its coefficients are lr and beta
        def __init__(self, params, lr=0.1, beta=0.9):
            super().__init__(params, dict(lr=lr, beta=beta))

The base class does the rest: parameter groups, flat buffers, fused launches, state dicts. A
coefficient that is no hyper-parameter of its own is computed in `coefficients`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import is_
from typing import Any

from ..arrays.namespace import is_writable
from ..arrays.quiet import quiet
from ..autograd.modes import enable_grad
from ..core.record import mode
from ..core.tensor import Tensor, wrap_plain
from ..kernels import UpdateRule
from . import cautious
from .flat import FlatGroup, Run
from .hooks import (
    Hooked,
    everywhere,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    step_between_hooks,
)  # fmt: skip
from .parameters import as_groups, checked_group
from .placing import place_state, show
from .settings import check_coefficients, check_lr, check_rule, check_writable
from .state import Edits, State, StateView, bind, export_state, load

__all__ = [
    "Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook",
    "required",
]  # fmt: skip


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()  # the default of a hyper-parameter that has none


class Optimizer(Hooked):
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

    rule: UpdateRule  # which rule to run; `rule_for` may choose by group
    state_names: dict[str, str] = {}  # noqa: RUF012  the rule's letters -> names in `state`
    more_states: tuple[str, ...] = ()  # letters of states that are flat too, but not the rule's
    scalar_states: dict[str, float] = {}  # noqa: RUF012  one number per parameter, and its start
    free_states: tuple[str, ...] = ()  # names in `state` that need not have the parameter's shape
    late_states: tuple[str, ...] = ()  # letters of states that may be missing: then they are zeros
    counts_steps = True  # whether `state` shows the step count, as PyTorch's "step"

    _opt_called = False  # whether step() has run: schedulers warn if they come first
    _stepping = False  # whether hooks are seen to: a step may call that of its base class

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        check_lr(type(self).__name__, defaults.get("lr"))
        self.check_settings(defaults)  # before `params` is looked at, as in PyTorch
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._edits = Edits()
        self.state: Any = State(self._edits)
        self._flat: list[list[FlatGroup]] | None = None  # made at the first step
        self._seen: list[list[Tensor]] = []  # the parameters of each group when that was made
        for group in as_groups(type(self).__name__, params):
            self.add_param_group(group)
        check_rule(self, Optimizer)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in vars(cls):
            cls.step = _noted(cls.step)  # type: ignore[method-assign]
        if "update" in vars(cls):  # what NumPy computes there; kernels warn of nothing
            cls.update = quiet(cls.update)  # type: ignore[method-assign]

    # What a subclass may define -------------------------------------------------------------------

    def rule_for(self, group: dict[str, Any]) -> UpdateRule:
        """The update rule for a group's settings."""
        rule = getattr(self, "rule", None)
        if rule is None:
            raise NotImplementedError(
                f"{type(self).__name__} has no update rule: set the class attribute `rule` to an "
                "@update_rule, or define `rule_for` or `step`"
            )
        return rule

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        """The rule's coefficients at step `t` (1, 2, ...), computed in double precision.

        By default each coefficient is the hyper-parameter of the same name, `t` the step. A class
        with `scalar_states` gets these as keywords too: their values before the step, of the type
        they are stored in.
        """
        known = {**group, "t": t}
        rule = self.rule_for(group)
        check_coefficients(type(self).__name__, rule, known)
        return tuple(float(known[name]) for name in rule.coefficients)

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
        raise RuntimeError(
            f"{type(self).__name__} does not support sparse gradients, please consider SparseAdam "
            "instead, or make them dense: p.grad = p.grad.to_dense()"
        )

    def update(self, group: dict[str, Any], rule: UpdateRule, run: Run, t: int) -> None:
        """Step `t` of a run: one launch of the rule.

        Override it where a step needs more than one element at a time: reduce over `run.parts()`,
        then launch rules for what is left.
        """
        coefficients = self.coefficients_of(group, run, t)
        if group.get("cautious"):
            cautious.launch(rule, run, coefficients)
        else:
            rule.launch(run.arrays, coefficients)

    # Groups ---------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group: a dict with "params", and settings that differ from the defaults."""
        group = checked_group(self, param_group)
        self.check_settings(group)
        self.param_groups.append(group)

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Raises for settings that make no sense; given the defaults, then every group."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients: sets them to None, or with `set_to_none=False` to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p._grad = p._grad.detach() if p._grad.requires_grad else p._grad
                    if is_writable(p._grad.array):
                        p._grad.zero_()
                    else:
                        p._grad = wrap_plain(p._grad.array * 0)

    # Steps ----------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; returns what `closure` returned, if given.

        `closure`: evaluates the model again and returns the loss; called once, recording enabled.
        Parameters whose `.grad` is None are skipped: no decay, no change of state or step count.
        """
        self._opt_called = True
        if (self._hooks or everywhere.before_step or everywhere.after_step) and not self._stepping:
            return _hooked(self, Optimizer.step, () if closure is None else (closure,), {})
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

        Each with its group and rule. State that a parameter's first step needs is made here.
        """
        edits, plans, groups = self._edits, [], self.param_groups
        for i, flats in enumerate(self._flat_groups()):
            group = groups[i]
            rule = self.rule_for(group)
            states, by_rows = rule.states + self.more_states, False
            for flat in flats:
                if flat.shown != states:  # settings brought in another rule, with other states
                    edits.made = True
                if not flat.at_home:  # asked first: a refusal leaves everything as it was
                    check_writable(self, [p for p in flat.params if p._grad is not None])
                    if flat.has_rows():
                        by_rows = self.takes_rows(group)
                plans.append((group, rule, states, flat, by_rows))
        if edits.made or self.state is not edits.state or (edits.plain and edits.in_plain_dicts()):
            place_state(self, self._flat or [], edits)
        for group, rule, states, flat, by_rows in plans:
            for run in flat.runs(states, by_rows):
                if flat.fresh or run.host is not None:
                    self._begin(group, rule, run.host or flat, run)
                yield group, rule, run

    def coefficients_of(self, group: dict[str, Any], run: Run, t: int) -> tuple[float, ...]:
        """The coefficients for step `t` of a run; its scalar states move on to their next value."""
        if not self.scalar_states:
            return self.coefficients(group, t)
        before = {name: values[0] for name, values in run.scalars.items()}
        compute: Any = self.coefficients
        coefficients = compute(group, t, **before)
        for name, value in self.next_scalars(group, t, **before).items():
            run.scalars[name].fill(value)
        return coefficients

    def _begin(self, group: dict[str, Any], rule: UpdateRule, flat: FlatGroup, run: Run) -> None:
        """Make the state of those parameters of a run that have none yet."""
        for i, (p, arrays) in enumerate(run.parts(), run.start):
            if i not in flat.fresh:
                continue
            flat.fresh.discard(i)
            entry = self.state.get(p)
            if entry is None:
                entry = StateView(self._edits)
            views = [("step", flat.step_view(i))] if self.counts_steps else []
            views += [(name, flat.scalar_view(name, i)) for name in self.scalar_states]
            views += [(name, flat.state_view(x, i)) for x, name in self.shown_states(rule)]
            for name, view in views:
                tensor = wrap_plain(view)
                show(tensor, view, self._edits)
                bind(entry, name, tensor)
            if entry:
                bind(self.state, p, entry)
            own = Run(flat, i, i + 1, arrays)
            own.params = [p]
            self.begin(group, rule, own)
        if self._edits.plain:  # they hold what was made here: that is no edit
            self._edits.look_again()

    def shown_states(self, rule: UpdateRule) -> list[tuple[str, str]]:
        """The flat states as (letter, name in `state`)."""
        names = self.state_names
        return [(x, names.get(x, x)) for x in rule.states + self.more_states]

    def _flat_groups(self) -> list[list[FlatGroup]]:
        """The flat buffers; made anew if groups or parameters are not those that they hold."""
        if self._flat is None or not self._is_as_left(self._flat):
            self._flat = None  # lets go of the old buffers, so that parameters may move again
            self._seen = [list(group["params"]) for group in self.param_groups]
            self._flat = [_flatten(params) for params in self._seen]
            for flats in self._flat:
                for flat in flats:
                    flat.ready()
            self._edits.made = True
        return self._flat

    def _is_as_left(self, flat_groups: list[list[FlatGroup]]) -> bool:
        """Whether the groups hold the very same parameters, in order, of the same type and shape.

        Compared one by one: `==` of lists would compare the values of Tensors.
        """
        groups, seen = self.param_groups, self._seen
        if len(groups) != len(seen):
            return False
        for i, params in enumerate(seen):
            given = groups[i]["params"]
            if len(given) != len(params) or not all(map(is_, given, params)):
                return False
            for flat in flat_groups[i]:
                if not flat.ready():
                    return False
        return True

    # State ----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: state}, "param_groups": [settings, "params": indices]}, as PyTorch's.

        The state Tensors are the live ones, not copies.
        """
        for before in tuple(self._hooks.before_state_dict.values()) if self._hooks else ():
            before(self)
        state_dict = export_state(self)
        for after in tuple(self._hooks.after_state_dict.values()) if self._hooks else ():
            changed = after(self, state_dict)
            state_dict = state_dict if changed is None else changed
        return state_dict

    def load_state_dict(
        self, state_dict: dict[str, Any], *, keep_settings: bool | Collection[str] = False
    ) -> None:
        """Takes over a `state_dict()`: the settings of its groups, and copies of its state.

        Where both sides know the names of their parameters, state goes by name; else by position.
        `keep_settings`: hyper-parameters of this optimizer that the saved ones do not replace:
        True for all, or their names, such as `["lr"]`. State is never cast: a saved optimizer of
        float32 parameters does not fit float64 ones.
        Raises ValueError with all differences, if groups, names, shapes or types differ; nothing
        has changed then.
        """
        state_dict = dict(state_dict)
        for before in tuple(self._hooks.before_loading.values()) if self._hooks else ():
            changed = before(self, state_dict)
            state_dict = state_dict if changed is None else changed
        load(self, state_dict, keep_settings)
        for after in tuple(self._hooks.after_loading.values()) if self._hooks else ():
            after(self)

    def __getstate__(self) -> dict[str, Any]:  # hooks are not pickled, as in PyTorch
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._flat, self._seen, self._edits = None, [], Edits()
        if not isinstance(self.state, State):
            self.state = State(self._edits, self.state)
            for p, entry in self.state.items():
                if type(entry) is dict:
                    bind(self.state, p, StateView(self._edits, entry))

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _noted(step: Callable[..., Any]) -> Callable[..., Any]:
    """A subclass's own `step`: between its hooks, unrecorded, and noted (schedulers ask)."""

    @functools.wraps(step)
    def noted(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        if self._stepping:  # a subclass of the subclass calls it
            return step(self, *args, **kwargs)
        before, mode.enabled = mode.enabled, False
        try:
            return _hooked(self, step, args, kwargs)
        finally:
            mode.enabled = before

    return noted


def _hooked(
    optimizer: Optimizer, step: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The step between its hooks, once, however many steps of base classes it calls."""
    optimizer._stepping = True
    try:
        return step_between_hooks(optimizer, step, args, kwargs)
    finally:
        optimizer._stepping = False


def _flatten(params: Iterable[Tensor]) -> list[FlatGroup]:
    """One FlatGroup for each dtype and device among the parameters."""
    kinds: dict[Any, list[Tensor]] = {}
    for p in params:
        kinds.setdefault((p.dtype, str(p.device)), []).append(p)
    return [FlatGroup(same) for same in kinds.values()]
