"""Steps of optimizers in a graph: launches whose coefficients each replay finds anew.

A replay does all that `optimizer.step()` does on the host (it looks where parameters and state lie,
computes coefficients, counts the step) but the launches: those are in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...kernels import UpdateRule, bfloat16
from ...optim.optimizer import Optimizer
from ...optim.placing import all_as_left
from . import gradients
from .numbers import Numbers
from .refusals import Unsettled, refuse, why_not

__all__ = ["Changed", "Launcher", "OptimizerStep"]


class Changed(Exception):
    """What an optimizer would step now is not what the graph steps."""


class Launcher:
    """Takes over the launches of rules while a step is rehearsed or captured.

    numbers: where coefficients come to lie; None in a rehearsal, which sends each by itself.
    """

    def __init__(self, library: Any, numbers: Numbers | None) -> None:
        self.library, self.numbers = library, numbers
        self.bytes = 0
        self.step: OptimizerStep | None = None  # which is under way

    def launch(
        self, rule: UpdateRule, arrays: Sequence[Any], coefficients: Sequence[float],
        whole: Sequence[int] = (), narrow: bool = False,
    ) -> None:  # fmt: skip
        """Launch the rule's kernel for graphs."""
        if self.step is None:
            refuse(
                f"the step launches the rule {rule.name} itself, and a replay would have these "
                "coefficients for ever. Launch it outside the step, or step an optimizer"
            )
        from ...kernels.compiler import cuda

        dtype = arrays[0].dtype
        lists = [(coefficients, dtype)] + ([(whole, np.dtype(np.uint64))] if whole else [])
        self.bytes += sum(-(-len(values) * kind.itemsize // 8) * 8 for values, kind in lists)
        kernel = rule.device_kernel(dtype, narrow, "graph")
        if self.numbers is None:
            with np.errstate(over="ignore"):
                given = [self.library.asarray(np.array(v, kind)) for v, kind in lists]
            cuda.launch_from_memory(kernel, arrays, given)
            return
        places = [self.numbers.take(len(values), kind) for values, kind in lists]
        for place, (values, _) in zip(places, lists, strict=True):
            place.put(values)
        cuda.launch_from_memory(kernel, arrays, [place.array for place in places])
        self.step.launches.append((rule, list(map(_memory, arrays)), places))


class OptimizerStep:
    """One `optimizer.step()` of the captured run, and what it is in each replay.

    launches: (rule, where its arrays lie, places of the numbers), in order.  grads: what `.grad` of
    each parameter was when the step was taken, as `gradients` notes it.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.launches: list[tuple[Any, list[Any], Any]] = []
        held = (p for group in optimizer.param_groups for p in group["params"])
        self.grads = [(p, gradients.note(p, p._grad)) for p in held]

    def refuse_or_wait(self) -> None:
        """Raise CaptureError for what is not a launch, Unsettled for what is yet to be laid out."""
        optimizer = self.optimizer
        if (why := why_not(optimizer, Optimizer)) is not None:
            refuse(why)
        if step_hooks(optimizer):
            refuse(
                f"hooks on {type(optimizer).__name__}.step() run on the host; call optimizer.step()"
                " outside the step that make_graphed gets, or remove them"
            )
        flats = optimizer._flat
        if flats is None or not all_as_left(flats, optimizer._seen, optimizer.param_groups):
            raise Unsettled
        edits = optimizer._edits
        if edits.made or optimizer.state is not optimizer._noted or edits.in_plain_dicts():
            raise Unsettled
        if any(
            p._grad is not None and i in flat.fresh
            for group in flats
            for flat in group
            for i, p in enumerate(flat.params)
        ):
            raise Unsettled

    def plan(self) -> list[tuple[Any, Any]]:
        """(group, run) for each launch of a replay. Raises Changed where the graph has others."""
        if step_hooks(self.optimizer):
            raise Changed(f"{type(self.optimizer).__name__}.step() got hooks")
        runs = list(self.optimizer.runs())
        if len(runs) != len(self.launches):
            raise Changed(f"{type(self.optimizer).__name__} steps other groups of parameters")
        for (_, rule, run), (known, arrays, _) in zip(runs, self.launches, strict=True):
            if rule is not known or [*map(_memory, run.arrays)] != arrays:
                raise Changed(
                    f"{type(self.optimizer).__name__}: parameters, gradients or state have moved"
                )
        return [(group, run) for group, _, run in runs]

    def take(self, plan: list[tuple[Any, Any]]) -> None:
        """Compute the coefficients of a step, put them into place, and count it."""
        optimizer = self.optimizer
        optimizer._opt_called = True
        for (group, run), (rule, _, places) in zip(plan, self.launches, strict=True):
            t = int(run.steps[0]) + 1
            places[0].put(optimizer.coefficients_of(group, run, t))
            if run.narrow:
                places[1].put((bfloat16.key_of(t, run.number), run.origin))
            elif rule.draws:
                seed, place = run.counter
                places[1].put((seed & 0xFFFFFFFF, seed >> 32, t, place + run.origin))
            run.finish(t)


def _memory(array: Any) -> Any:
    """Where an array lies, which is all that a launch has of it."""
    return array.data.ptr, array.size, array.dtype


def step_hooks(optimizer: Any) -> bool:
    """Whether functions are to be called around the optimizer's steps."""
    from ...optim.hooks import everywhere

    own = optimizer._hooks
    tables = [everywhere.before_step, everywhere.after_step]
    tables += [] if own is None else [own.before_step, own.after_step]
    return any(tables)
