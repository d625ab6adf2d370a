"""The text of a kernel in two forms: one loop, and one whose parts the pool's threads take.

The second takes three times as long to compile, and is left to arrays that are worth it. Both give
the same bits: a part computes what the loop computes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import pool
from ..compiler import cache

__all__ = ["Loop"]

_SERIAL = """\
# Written by {origin}.
{imports}from tinygrad_opt.kernels.direct import njit
{functions}
from tinygrad_opt.kernels.compiler.lanes import all_lanes

@njit("{signature}", error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {name}({parameters}):
    all_lanes()
{before}{body}{after}"""

_SPLIT = """\
# Written by {origin}.
{imports}from tinygrad_opt.kernels.direct import njit
{functions}
from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.pool import share


@njit(error_model="numpy", nogil=True)
def part(begin, end, {parameters}):
    all_lanes()
{slices}
{body}

@njit("{signature}", error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {name}({parameters}):
{before}    share(part, {count}, {part}, {cost}, {parameters})
{after}"""


_ROWS = """\
# Written by {origin}.
{imports}from tinygrad_opt.kernels.direct import njit
{functions}
from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.compiler.lines import in_line
from tinygrad_opt.kernels.pool import share


@njit(error_model="numpy", nogil=True)
def part(first, last, pieces, {given}):
    all_lanes()
    r_, piece_ = first // pieces, first % pieces
    for _ in range(first, last):
        begin_ = piece_ * {part}
{slices}
{body}
        piece_ += 1
        if piece_ == pieces:
            r_, piece_ = r_ + 1, 0


@njit("{signature}", error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {name}({given}):
    n = {last}.shape[1]
    if {wrong}:
        raise ValueError("sizes differ, or elements of a row do not stand side by side")
    pieces = (n + {part} - 1) // {part}
    count = {last}.shape[0] * pieces
    share(part, count, max(1, {part} // max(n, 1)), {cost}, pieces, {given})
"""


class Loop(NamedTuple):
    """A kernel that does the same to each item of its arrays.

    `{dtype}` in any of the texts is the arrays' type.
    """

    name: str
    origin: str  # the module that writes it
    arrays: dict[str, str]  # name -> Numba's type; all have as many items as the last one
    scalars: dict[str, str]
    body: str  # the loop over all items, indented by four
    part: str  # items of a part, an expression: as many as take 20 to 50 us
    cost: int = pool.USUAL  # nanoseconds that a part takes
    imports: str = ""
    functions: str = ""  # the import of the vectorised functions
    before: str = ""  # checks, on the caller's thread; may return
    after: str = ""
    result: str = "void"

    def load(self, dtype: str, large: bool) -> Any:
        """The kernel; `large` is the form with parts."""
        load: Callable[..., Any] = pool.load if large else cache.load
        return load(self._form(large), lambda on_disk: self.text(dtype, large, on_disk))

    def text(self, dtype: str, large: bool, on_disk: bool) -> str:
        """The kernel's text; `on_disk` asks for Numba's cache."""
        last = list(self.arrays)[-1]
        types: Sequence[str] = [*self.arrays.values(), *self.scalars.values()]
        form = (_SPLIT if large else _SERIAL).format(
            origin=self.origin,
            imports=self.imports,
            functions=self.functions,
            name=self._form(large),
            parameters=", ".join([*self.arrays, *self.scalars]),
            signature=f"{self.result}({', '.join(types)})",
            slices="\n".join(f"    {name} = {name}[begin:end]" for name in self.arrays),
            count=f"{last}.shape[0]",
            part=self.part,
            cost=self.cost,
            before=self._checked() + self.before,
            body=self.body,
            after=self.after,
            cache=on_disk,
        )
        return form.replace("{dtype}", dtype)

    def load_rows(self, dtype: str) -> Any:
        """The kernel for matrices whose rows may lie apart; the last one is in one piece.

        A part is about `part` elements, of one row or of several; without `before` and `after`.
        """
        name = f"{self.name}_rows"
        return pool.load(name, lambda on_disk: self.rows_text(name, dtype, on_disk))

    def rows_text(self, name: str, dtype: str, on_disk: bool) -> str:
        """That kernel's text."""
        *others, last = self.arrays
        types = ["{dtype}[:, :]"] * len(others) + ["{dtype}[:, ::1]", *self.scalars.values()]
        given = [*(f"{x}_rows" for x in self.arrays), *self.scalars]
        size, last = np.dtype(dtype).itemsize, f"{last}_rows"
        wrong = [
            f"{x}_rows.shape[0] != {last}.shape[0] or {x}_rows.shape[1] != n "
            f"or {x}_rows.strides[1] != {size}"
            for x in others
        ]
        slices = [
            f"{x} = in_line({x}_rows[r_, begin_ : begin_ + {self.part}])" for x in self.arrays
        ]
        return _ROWS.format(
            origin=self.origin, imports=self.imports, functions=self.functions, name=name,
            signature=f"{self.result}({', '.join(types)})", given=", ".join(given), last=last,
            part=self.part, cost=self.cost, wrong=" or ".join(wrong) or "False",
            slices=textwrap.indent("\n".join(slices), " " * 8),
            body=textwrap.indent(self.body.rstrip("\n"), " " * 4), cache=on_disk,
        ).replace("{dtype}", dtype)  # fmt: skip

    def _form(self, large: bool) -> str:
        return f"{self.name}_{'split' if large else 'serial'}"

    def _checked(self) -> str:
        """An error where sizes differ, or the loop would leave an array."""
        if len(self.arrays) < 2:
            return ""
        equal = " == ".join(f"{name}.shape[0]" for name in self.arrays)
        return f'    if not {equal}:\n        raise ValueError("sizes differ")\n'
