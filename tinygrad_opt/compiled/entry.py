"""The way into a compiled step: three Python functions, written for each variant.

`takes(args)` looks at the arguments, `fits()` at all that the step took from outside, `run(leaves)`
calls the functions of the file and does what Python has to do in each call. They are a line for
each thing that is looked at or done, with the things themselves as globals: loops over lists of
them, with what each call of a method costs, would take longer than a small step's arithmetic.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..arrays.dtypes import get_default_dtype
from ..arrays.random import place_of, put_back
from ..core.backward import watch
from ..core.node import Variable
from ..core.record import mode
from ..core.tensor import Tensor, wrap
from ..core.versions import note_write
from .binding import EagerCall, row_major
from .surroundings import hooks_of
from .tree import is_one_tensor, unflatten

__all__ = ["Steps", "entry_of"]


class Steps:
    """The step that an optimizer's vectors have reached, known as long as nobody writes to it."""

    __slots__ = ("flat", "seen", "taken")

    def __init__(self, flat: Any) -> None:
        self.flat = flat
        self.seen, self.taken = b"", 0
        self.are_alike()

    def are_alike(self) -> bool:
        """Whether all parameters have taken the same number of steps, and have equal scalars."""
        alike: bool = self.flat._alike()
        if alike:
            self.seen, self.taken = self.flat.steps.tobytes(), int(self.flat.steps.item(0))
        return alike

    def put(self, t: int) -> None:
        """Note that all have taken `t` steps."""
        steps = self.flat.steps
        steps.fill(t)
        self.taken, self.seen = t, steps.tobytes()


class _Writing:
    """The lines of functions, and the things that they speak of."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.lines: list[str] = []
        self.space: dict[str, Any] = {
            "Tensor": Tensor, "alike": operator.is_, "get_default_dtype": get_default_dtype,
            "hooks_of": hooks_of, "mode": mode, "note_write": note_write,
            "place_of": place_of, "put_back": put_back, "row_major": row_major,
            "unflatten": unflatten, "watch": watch, "wrap": wrap,
        }  # fmt: skip
        self._names: dict[int, str] = {}

    def name(self, thing: Any) -> str:
        """A global name of a thing."""
        if thing is None or thing is True or thing is False:
            return repr(thing)
        known = self._names.get(id(thing))
        if known is None:
            known = self._names[id(thing)] = f"k{len(self._names)}"
            self.space[known] = thing
        return known

    def same(self, text: str, thing: Any) -> None:
        """A line that goes on only where an expression gives this very thing."""
        self.lines.append(f"if {text} is not {self.name(thing)}: return False")

    def need(self, condition: str) -> None:
        self.lines.append(f"if not ({condition}): return False")

    def look(self, head: str) -> None:
        """Make the lines a function that returns whether all of them let it go on."""
        body = "".join(f"        {line}\n" for line in [*self.lines, "return True"])
        self.texts.append(
            f"def {head}:\n    try:\n{body}"
            "    except (AttributeError, KeyError, ValueError):  # something is no longer there\n"
            "        return False\n"
        )
        self.lines = []


def entry_of(variant: Any) -> tuple[Any, Any, Any]:
    """(takes, fits, run) of a variant whose arrays are bound."""
    write = _Writing()
    _takes(write, variant.kinds, variant.known)
    _fits(write, variant)
    _run(write, variant)
    exec(compile("\n".join(write.texts), "<entry of a compiled step>", "exec"), write.space)
    return write.space["takes"], write.space["fits"], write.space["run"]


def _takes(write: _Writing, kinds: list[Any], known: Any) -> None:
    """takes(args): whether these are tensors of the kinds that a step was compiled for.

    kinds: (shape, dtype, requires_grad) of each.  known: (grad mode, default type) of then, or None
    where there was more among the arguments than tensors.
    """
    if known is None:
        write.lines.append("return False")
        write.look("takes(args)")
        return
    write.need(f"len(args) == {len(kinds)} and watch.guard is None")
    write.same("mode.enabled", known[0])
    write.same("get_default_dtype()", known[1])
    for i, (shape, dtype, needs_grad) in enumerate(kinds):
        write.lines.append(f"x{i} = args[{i}]")
        write.need(f"type(x{i}) is Tensor")
        write.same(f"x{i}._requires_grad", needs_grad)
        write.lines.append(f"x{i} = x{i}.array")
        write.need(f"x{i}.shape == {shape!r}")
        write.same(f"x{i}.dtype", dtype)
        for k in range(i):  # the same one twice is another kind
            write.need(f"x{k} is not x{i}")
    write.look("takes(args)")


def _fits(write: _Writing, variant: Any) -> None:
    """fits(): whether all that the step took from outside is as it was when it was traced."""
    for tensor, array, needs_grad, hooks in variant.held:
        name = write.name(tensor)
        write.same(f"{name}.array", array)
        write.same(f"{name}._requires_grad", needs_grad)
        _hooks(write, name, hooks)
    for module, training, hooks in variant.modes:
        name = write.name(module)
        write.same(f"{name}.training", training)
        _hooks(write, name, hooks)
    for space, key, held in variant.surroundings.names:
        write.same(f"{write.name(space)}[{key!r}]", held)
    for cell, held in variant.surroundings.cells:
        write.same(f"{write.name(cell)}.cell_contents", held)
    for leaf, grad in variant.entry:
        write.same(f"{write.name(leaf)}._grad", grad)
    for optimizer, flat, groups in variant.flats:
        name = write.name(optimizer)
        write.same(f"{name}._flat", flat)
        write.need(f"not {name}._edits.made and not {name}._hooks")
        write.need(f"len({name}.param_groups) == {len(groups)}")
        for i, (group, params) in enumerate(groups):
            of_group, held = write.name(group), write.name(params)
            write.same(f"{name}.param_groups[{i}]", group)
            write.lines.append(f"now = {of_group}['params']")
            write.need(f"len(now) == {len(params)} and all(map(alike, now, {held}))")
    for update, steps in zip(variant.updates, variant.steps, strict=True):
        optimizer, group = write.name(update.optimizer), write.name(update.group)
        flat, reached = write.name(update.flat), write.name(steps)
        for letter in update.rule.states:
            write.same(f"{flat}.states[{letter!r}]", update.flat.state(letter))
        write.same(f"{optimizer}.rule_for({group})", update.rule)
        known = "" if update.flat.scalars else f"{flat}.steps.tobytes() == {reached}.seen or "
        write.need(f"{known}{reached}.are_alike()")
        write.need(f"not {group}.get('cautious') and not {group}.get('state_dtype')")
    write.look("fits()")


def _hooks(write: _Writing, name: str, hooks: Any) -> None:
    if hooks is None:
        write.need(f"{name}._hooks is None or hooks_of({name}) is None")
    else:
        write.need(f"hooks_of({name}) == {write.name(hooks)}")


def _run(write: _Writing, variant: Any) -> None:
    """run(leaves): the step; NotImplemented if integers were not as assumed: nothing was done."""
    lines, name = write.lines, write.name
    places = name(variant.places)
    for number, i in variant.from_leaf:
        lines.append(f"x = leaves[{i}].array")
        lines.append(f"{places}[{number}] = x if x.flags.c_contiguous else row_major(x)")
    for number, array in variant.copied:
        lines.append(f"{places}[{number}] = row_major({name(array)})")
    lines += [f"{name(effect.call)}(None)" for effect in variant.before]
    generators = [name(g) for g in variant.generators] if variant.must_rewind else []
    for i, generator in enumerate(generators):
        lines.append(f"before{i} = place_of({generator})")
    lines += [f"{name(fill)}({name(array)})" for fill, array in variant.draws]
    # Counted before, so that an interruption after the function finds both done.
    reached = [name(steps) for steps in variant.steps]
    for i, steps in enumerate(reached):
        lines.append(f"t{i} = {steps}.taken + 1")
        lines.append(f"{steps}.put(t{i})")
    ts = f"({''.join(f't{i}, ' for i in range(len(reached)))})"
    for call in variant.calls:
        lines.append(f"if {_called(write, call, places, ts)}:")
        lines += [f"    {steps}.put(t{i} - 1)" for i, steps in enumerate(reached)]
        for i, generator in enumerate(generators):
            lines.append(f"    put_back({generator}, before{i})")
        lines.append("    return NotImplemented")
    for i, update in enumerate(variant.updates):
        if update.optimizer.scalar_states:
            lines.append(f"{name(variant.next_scalars)}({name(update)}, t{i})")
        lines.append(f"note_write({name(update.flat.values)})")
    lines += [f"{name(leaf)}._grad = {name(grad)}" for leaf, grad in variant.final_grads]
    for leaf, value in variant.own_grads:
        lines.append(f"{name(leaf)}._grad = wrap({_array(write, value)}.copy())")
    for effect, metric in variant.after:
        number = "None" if metric is None else f"float({_array(write, metric)})"
        lines.append(f"{name(effect.call)}({number})")
    found = [
        f"leaves[{x}]" if type(x) is int
        else name(x) if isinstance(x, Variable) else f"wrap({_array(write, x)}.copy())"
        for x in variant.outputs
    ]  # fmt: skip
    shape = variant.shape_of_result
    if is_one_tensor(shape):
        lines.append(f"return {found[0]}")
    else:
        lines.append(f"return unflatten({name(shape)}, [{', '.join(found)}])")
    write.texts.append("def run(leaves):\n" + "".join(f"    {line}\n" for line in lines))


def _called(write: _Writing, call: Any, places: str, ts: str) -> str:
    """The call of a part."""
    scalars = not isinstance(call, EagerCall) and any(
        update.optimizer.scalar_states for update, _ in call.updates
    )
    if isinstance(call, EagerCall) or scalars:
        return f"{write.name(call)}({ts})"
    name = write.name
    if call.updates:
        numbers = ", ".join(
            f"*{name(update.optimizer)}.coefficients({name(update.group)}, t{i})"
            + (f", *{name(update)}.counter(t{i})" if update.rule.draws else "")
            for update, i in call.updates
        )
        write.lines.append(f"{name(call.table.put)}({numbers})")
    arrays = "".join(f"{places}[{number}], " for number in call.numbers)
    return f"{name(call.function)}({arrays}{name(call.table.address)})"


def _array(write: _Writing, view: Any) -> str:
    """The array of a view: what it is, if that is always the same."""
    if isinstance(view, np.ndarray):
        return write.name(view)
    return f"{write.name(view)}()"
