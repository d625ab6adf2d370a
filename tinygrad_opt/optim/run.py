"""Run: what one launch steps, parameters that lie end to end in a FlatGroup, or one elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..arrays.xp import array_namespace
from ..core.tensor import Tensor
from ..core.versions import note_stamped, note_write, stamp_of
from ..kernels import UpdateRule, bfloat16

__all__ = ["Run"]


class Run:
    """Neighbouring parameters that take a step together: their arrays, flat, and their numbers.

    arrays: values, gradient, then states.  steps, scalars: one number per parameter, views.
    taken: how many steps they have taken, all of them the same number.
    copy_back: (array, index, copy), for each array of which the step is done on a copy of a part.
    narrow: whether the states are words of 16 bits, see `kernels.bfloat16`.  number, origin: of the
    FlatGroup, and where the first parameter begins in it: with them their rounding is random.
    counter: of a rule that draws, the seed and the FlatGroup's place, see `drawing`.
    """

    __slots__ = (
        "_stamp", "arrays", "copy_back", "counter", "host", "narrow", "number", "offsets", "origin",
        "params", "scalars", "start", "steps", "stop", "taken",
    )  # fmt: skip

    def __init__(
        self, flat: Any, start: int, stop: int, arrays: tuple[Any, ...],
        copy_back: tuple[Any, ...] = (),
    ) -> None:  # fmt: skip
        self.start, self.stop = start, stop  # parameters start <= i < stop of the group
        self.host: Any = None  # of a guest: whose numbers start and stop are
        self.params = flat.params[start:stop]
        self.narrow, self.number, self.counter = flat.narrow, flat.number, flat.counter
        first = self.origin = flat.offsets[start]
        self.offsets = [offset - first for offset in flat.offsets[start : stop + 1]]
        self.arrays = arrays
        self.steps = flat.steps[start:stop]
        self.taken = int(self.steps[0])
        self.scalars = {name: values[start:stop] for name, values in flat.scalars.items()}
        self.copy_back = copy_back
        self._stamp: Any = None  # of the memory of the values

    def parts(self, *others: Any) -> Iterator[tuple[Tensor, tuple[Any, ...]]]:
        """Each parameter with its own part of `arrays`, and of `others` that are as long; flat."""
        arrays = (*self.arrays, *others)
        for p, a, b in zip(self.params, self.offsets, self.offsets[1:], strict=False):
            yield p, tuple(array[a:b] for array in arrays)

    def launch(self, rule: UpdateRule, coefficients: Sequence[float], t: int) -> None:
        """One launch of a rule over all arrays, at step `t`."""
        if self.narrow:
            key = bfloat16.key_of(t, self.number)
            rule.launch_bfloat16(self.arrays, coefficients, key, self.origin)
        elif rule.draws:
            seed, place = self.counter
            rule.launch(self.arrays, coefficients, seed=seed, step=t, origin=place + self.origin)
        else:
            rule.launch(self.arrays, coefficients)

    def begin_with(self, state: int, values: Any) -> None:
        """Fill `arrays[state]`, be it narrow or not, with a number or an array."""
        array = self.arrays[state]
        if self.narrow:
            values = bfloat16.nearest(array_namespace(array).asarray(values, dtype=np.float32))
        array[...] = values

    def finish(self, t: int) -> None:
        """Count the step, write back what was done on a copy, and tell older graphs of it."""
        self.steps.fill(t)
        for array, index, stepped in self.copy_back:
            array[index] = stepped
        if self.copy_back:
            note_write(self.copy_back[0][0])
            return
        if self._stamp is None:
            self._stamp = stamp_of(self.arrays[0])
        note_stamped(self._stamp)
