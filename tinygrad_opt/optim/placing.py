"""Taking `optimizer.state` into the flat buffers: at the first step, and after every edit.

What the dicts hold is what counts, not what lay in the buffers before. The dicts and the Tensors
stay the same objects; the Tensors' memory moves into the buffers. Whatever does not fit is an
error before anything is stepped, as PyTorch's step would have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from ..arrays.device import device_of
from ..arrays.quiet import quiet
from ..core.tensor import Tensor, wrap_plain
from ..kernels import UpdateRule
from .checks import check_float32, place_of
from .flat import FlatGroup, Run
from .state import Edits, StateView, array_of, bind, fitted


def all_as_left(
    flat_groups: list[list[FlatGroup]], seen: list[list[Tensor]], groups: list[dict[str, Any]]
) -> bool:
    """Whether the groups hold the parameters `seen`, the very same, in order, of type and shape.

    Compared one by one: `==` of lists would compare the values of Tensors.
    """
    if len(groups) != len(seen):
        return False
    for i, params in enumerate(seen):
        given = groups[i]["params"]
        if len(flat_groups[i]) == 1 and flat_groups[i][0].as_left(given):
            continue
        if len(given) != len(params) or not all(map(is_, given, params)):
            return False
        for flat in flat_groups[i]:
            if not flat.ready():
                return False
    return True


class Names(NamedTuple):
    """The names in `state` that belong to an optimizer's class and a group's settings.

    states: (letter, name) of the flat ones.  scalars: name -> start.  own: all that must be there,
    but for the late ones.  counts: whether "step" is one.  narrow: whether states are of 16 bits.
    """

    states: list[tuple[str, str]]
    scalars: dict[str, float]
    own: list[str]
    late: set[str]
    counts: bool
    narrow: bool

    @classmethod
    def of(cls, optimizer: Any, group: dict[str, Any]) -> Names:
        rule = optimizer.rule_for(group)
        states = _shown(optimizer, rule)
        narrow = bool(rule.states and group.get("state_dtype"))
        # What is rounded at random or drawn depends on the step.
        counts = optimizer.counts_steps or narrow or bool(rule.draws)
        own = ["step"] if counts else []
        own += [*optimizer.scalar_states, *(name for _, name in states)]
        late = {name for letter, name in states if letter in optimizer.late_states}
        if not optimizer.counts_steps:
            late.add("step")  # where the states were wide when they were saved
        return cls(states, optimizer.scalar_states, own, late, counts, narrow)


def _shown(optimizer: Any, rule: UpdateRule) -> list[tuple[str, str]]:
    """The flat states as (letter, name in `state`)."""
    names = optimizer.state_names
    return [(x, names.get(x, x)) for x in rule.states + optimizer.more_states]


def prepare_kernels(optimizer: Any, base: type) -> None:
    """Before the first step, have its kernels made beside the forward pass; see `pool.ahead`.

    Of steps that are those of `base`, and launch one rule for all elements.
    """
    if optimizer._flat is not None:
        return
    cls = type(optimizer)
    if cls.step is not base.step or cls.update is not base.update:  # type: ignore[attr-defined]
        return
    for group in optimizer.param_groups:
        if group.get("state_dtype") or group.get("cautious"):
            continue
        sizes: Counter[Any] = Counter()
        for p in group["params"]:
            if type(p.array) is np.ndarray and p.array.dtype.char in "fd":
                sizes[p.array.dtype] += p.array.size
        with suppress(Exception):  # which the step shows
            rule = optimizer.rule_for(group)
            for dtype, size in sizes.items():
                rule.soon(size, dtype)


@quiet
def place_state(optimizer: Any, flat_groups: list[list[FlatGroup]], edits: Edits) -> None:
    """Fill the flat buffers from `optimizer.state`, and make its entries views of them.

    A parameter without state of its own begins afresh. Two parameters with one entry share it: the
    second one's steps go on where the first one's left off.
    Raises KeyError for an entry of which a part is missing, RuntimeError for one of another shape;
    of parameters without gradient not before they have one.
    """
    edits.made, edits.plain = False, []
    optimizer._noted = optimizer.state
    edits.watch(optimizer.state)
    taken: dict[int, tuple[FlatGroup, int]] = {}  # by the id of a parameter or an entry
    moved: set[int] = set()  # ids of Tensors
    try:
        for number, flats in enumerate(flat_groups):
            names = Names.of(optimizer, optimizer.param_groups[number])
            for flat in flats:
                if names.narrow:
                    check_float32(type(optimizer).__name__, flat.params)
                flat.narrow = names.narrow
                flat.start_over(names.scalars)
                flat.shown = tuple(letter for letter, _ in names.states)
                for i, p in enumerate(flat.params):
                    held = optimizer.state.get(p)
                    keys = [id(p)] if held is None else [id(p), id(held)]
                    host = next((taken[key] for key in keys if key in taken), None)
                    if host is not None and _alike(p, *host):
                        flat.guests[i] = (None if host[0] is flat else host[0], host[1])
                        flat.fresh.discard(i)
                        continue
                    taken.update(dict.fromkeys(keys, (flat, i)))
                    if held is not None and not _place(
                        optimizer, names, flat, i, held, moved, edits
                    ):
                        edits.made = True  # looked at again, until it fits or is needed
                    if held is not None:
                        edits.watch(held)
    except BaseException:
        edits.made = True
        raise


def _place(
    optimizer: Any, names: Names, flat: FlatGroup, i: int, held: Any,
    moved: set[int], edits: Edits,
) -> bool:  # fmt: skip
    """Take over the entry of parameter `i`; False if it does not fit, and need not yet."""
    there = [name for name in names.own if held.get(name) is not None]
    if not there and not any(name in held for name in optimizer.free_states):
        return True  # what else it may hold is the user's
    fault = _fault(optimizer, names, flat.params[i], held, there)
    if fault is not None:
        if flat.params[i]._grad is None:
            return False
        raise fault
    flat.fresh.discard(i)
    places: list[tuple[str, Any]] = [
        *((name, flat.scalar_view(name, i)) for name in names.scalars),
        *((name, flat.state_view(letter, i)) for letter, name in names.states),
    ]
    if names.counts:
        places.insert(0, ("step", flat.step_view(i)))
    if "step" not in there:
        flat.steps[i] = 1  # that there is state means that a step was taken
    for name, view in places:
        _move(held, name, view, moved, edits)
    return True


def _alike(p: Tensor, flat: FlatGroup, k: int) -> bool:
    a = p.array
    return (a.shape, a.dtype) == (flat.shapes[k], flat.dtype) and p.device == flat.device


def _fault(
    optimizer: Any, names: Names, p: Tensor, held: Any, there: list[str]
) -> Exception | None:
    """What is wrong with an entry of which the parts `there` are there."""
    where = f"{type(optimizer).__name__}: the state of {place_of(optimizer, p)}"
    missing = [name for name in names.own if name not in there and name not in names.late]
    if missing:
        return KeyError(
            f"{where} has no {', '.join(missing)}, only {', '.join(map(str, held))}; to begin "
            "afresh clear all of it: optimizer.state.pop(p, None)"
        )
    for name in there:
        array = array_of(held[name])
        if any(name == of_p for _, of_p in names.states):
            if tuple(array.shape) != p.array.shape:
                return RuntimeError(
                    f"{where}: {name} has shape {tuple(array.shape)}, the parameter "
                    f"{tuple(p.shape)}; give both the same, or clear the state to begin afresh: "
                    "optimizer.state.pop(p, None)"
                )
        elif array.size != 1:
            return RuntimeError(
                f"{where}: {name} must be one number, but has shape {tuple(array.shape)}"
            )
    return None


def _move(held: Any, name: str, view: Any, moved: set[int], edits: Edits) -> None:
    """`held[name]` comes to lie at `view`: the same Tensor, if it is of that kind and free."""
    value = held.get(name)
    if value is not None:
        view[...] = fitted(value, view).reshape(view.shape)
    tensor = value
    if (
        type(value) is not Tensor
        or id(value) in moved
        or value._requires_grad
        or value.dtype != view.dtype
        or value.array.shape != view.shape
        or device_of(value.array) != device_of(view)
    ):
        tensor = wrap_plain(view)
        bind(held, name, tensor)
    show(tensor, view, edits)
    moved.add(id(tensor))


def show_new_state(
    optimizer: Any, rule: UpdateRule, flat: FlatGroup, run: Run
) -> Iterator[Run]:  # fmt: skip
    """Put the state of those of a run's parameters that have none yet into `optimizer.state`.

    Yields each as a run of its own, in which the state holds zeros, to be filled.
    """
    edits = optimizer._edits
    for i, (p, arrays) in enumerate(run.parts(), run.start):
        if i not in flat.fresh:
            continue
        flat.fresh.discard(i)
        entry = optimizer.state.get(p)
        if entry is None:
            entry = StateView(edits)
        counts = optimizer.counts_steps or flat.narrow or rule.draws
        views = [("step", flat.step_view(i))] if counts else []
        views += [(name, flat.scalar_view(name, i)) for name in optimizer.scalar_states]
        views += [(name, flat.state_view(x, i)) for x, name in _shown(optimizer, rule)]
        for name, view in views:
            tensor = wrap_plain(view)
            show(tensor, view, edits)
            bind(entry, name, tensor)
        if entry:
            bind(optimizer.state, p, entry)
        own = Run(flat, i, i + 1, arrays)
        own.params = [p]
        yield own
    if edits.plain:  # they hold what was made here: that is not an edit
        edits.look_again()


def show(tensor: Any, view: Any, edits: Edits) -> None:
    """Make a Tensor of a state show `view`, and tell `edits` if it is moved away."""
    if tensor._edits is not None and tensor._edits is not edits:
        tensor._edits.made = True  # another optimizer's, too: it takes it back at its next step
    tensor.array = view
    tensor._edits = edits
