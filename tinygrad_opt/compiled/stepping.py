"""What the steps of optimizers and schedulers are while a step is traced.

Nothing moves: a launch of a rule is recorded as an update, and what has to be done in Python, in
each call, as an effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.node import Variable
from ..optim.optimizer import Optimizer
from .trace import Effect, Trace, Update
from .values import Layout

__all__ = ["Stepping"]

_slot, _grad_slot = Variable.__dict__["array"], Variable.__dict__["_grad"]


class Stepping:
    """The steps of optimizers and schedulers.

    handle: of a tensor and its array, the Traced.
    """

    def __init__(self, trace: Trace, handle: Callable[[Any, Any], Any]) -> None:
        self.trace, self.handle = trace, handle
        self.later: set[int] = set()  # arrays that an optimizer steps in Python, at the end

    def step_of(self, original: Any) -> Callable[..., Any]:
        def step(optimizer: Any, closure: Any = None) -> None:
            if closure is not None:
                self.trace.refuse(
                    "calls optimizer.step(closure), which evaluates the model several times; call "
                    "backward() and step() without a closure"
                )
            optimizer._opt_called = True
            runs = _compiled_runs(optimizer) if original is _OPTIMIZER_STEP else None
            if runs is None:
                self.trace.effects.append(
                    Effect(lambda _: optimizer.step(), None, f"{type(optimizer).__name__}.step()",
                           True)
                )  # fmt: skip
                self.stepped_in_python(optimizer)
                return
            for update in runs:
                self.update(update)

        return step

    def update(self, update: Update) -> None:
        """Record a launch: it reads the gradients, and what was in the parameters is gone."""
        trace, flat = self.trace, update.flat
        gradients = []
        if any(u.params["update"].flat is flat for u in trace.updates):
            trace.refuse("steps an optimizer twice")
        for p, start in zip(flat.params, flat.offsets, strict=False):
            array = _slot.__get__(p)
            if self.handle(p, array)._value is not trace.lift(array):
                trace.refuse("writes to a parameter and then steps the optimizer that holds it")
            g = p._grad.array.value
            if not trace.home_of(g, flat.gradient, start):
                trace.refuse("adds to gradients that are left from before and takes a step")
            gradients.append(g)
        made = trace.add("update", tuple(gradients), {"update": update}, np.zeros(()),
                         name=update.rule.name)  # fmt: skip
        trace.updates.append(made)
        for p in flat.params:
            array = _slot.__get__(p)
            handle = self.handle(p, array)
            old = trace.lift(array)
            layout = Layout(old.root, old.layout.offset, old.layout.strides)
            handle._value = trace.add("view", (old.root,), {}, array, layout)
            trace.stepped[id(array)] = handle._value

    def stepped_in_python(self, optimizer: Any) -> None:
        """Refuse whoever reads the parameters after a step that Python takes at the end."""
        held = [p for group in optimizer.param_groups for p in group["params"]]
        self.later |= {id(_slot.__get__(p)) for p in held}
        self.trace.kept_grads += [(p, _grad_slot.__get__(p)) for p in held]

    def schedule(self, scheduler: Any, *args: Any, **kwargs: Any) -> None:
        """A scheduler's step happens in each call, on the side of the compiled part it stood on."""
        metric = None
        rest = list(args)
        given = kwargs.get("metrics", rest[0] if rest else None)
        if isinstance(given, Variable):
            metric = given.array.value
        step, after = type(scheduler).step, bool(self.trace.updates or self.trace.effects)

        def run(number: Any) -> None:
            if metric is None:
                scheduler.step(*args, **kwargs)
            elif "metrics" in kwargs:
                scheduler.step(**{**kwargs, "metrics": number})
            else:
                scheduler.step(number, *rest[1:])

        del step
        if metric is not None and not after:
            self.trace.refuse("steps a scheduler by a metric before the optimizer's step")
        self.trace.effects.append(Effect(run, metric, f"{type(scheduler).__name__}.step()", after))


_OPTIMIZER_STEP = Optimizer.__dict__["step"]


def _compiled_runs(optimizer: Any) -> list[Update] | None:
    """The launches of an optimizer's step; None where it does more than launch a rule."""
    kind = type(optimizer)
    if kind.update is not Optimizer.update or optimizer._hooks or optimizer.more_states:
        return None
    flats_of = optimizer._flat
    if flats_of is None or optimizer._edits.made or len(flats_of) != len(optimizer.param_groups):
        return None
    found = []
    for group, flats in zip(optimizer.param_groups, flats_of, strict=True):
        if group.get("cautious") or group.get("state_dtype"):
            return None
        rule = optimizer.rule_for(group)
        for flat in flats:
            if (
                not flat._alike()
                or flat.fresh
                or flat.guests
                or flat.shown != rule.states
                or not _at_home(flat)
            ):
                return None
            if any(p._grad is None for p in flat.params):
                return None
            found.append(Update(optimizer, group, rule, flat))
    return found


def _at_home(flat: Any) -> bool:
    return type(flat.values) is np.ndarray and all(
        view is not None and _slot.__get__(p) is view
        for p, view in zip(flat.params, flat.views, strict=True)
    )
