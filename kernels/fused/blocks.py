"""Loops that look at a block of elements first: where all are of usual size, formulas are shorter.

Both ways give the same bits (`kernels/functions/near.py`).

The look brings a block into the first cache, too. Where the result lies 2^n bytes from what is
read, and a few more, as of two arrays that were made one after the other, processors take what is
read next for what was just written, and wait for it: up to three times as long as the arithmetic.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence

from ..functions import near

__all__ = ["in_blocks", "plain"]

BLOCK = 256  # elements

_SHORTENED = re.compile(rf"\bvector_({'|'.join(near.__all__)})\(")
_TEXT = """\
    for start_ in range(0, result_.shape[0], {block}):
        end_ = min(start_ + {block}, result_.shape[0])
{slices}
        largest_ = size_bits({{dtype}}(0.0))
        for i in range({last}.shape[0]):
            largest_ = max(largest_, size_bits({last}[i]))
        if largest_ < size_bits({{dtype}}({below})):
{shorter}
        else:
{longer}
"""

Write = Callable[[str], str]  # a loop's text, given what its arrays' names begin with


def plain(write: Write) -> str:
    """The text of a loop, for the body of a kernel."""
    return textwrap.indent(write(""), " " * 4)


def in_blocks(write: Write, arrays: Sequence[str], below: float) -> tuple[str, str]:
    """The same in blocks, and the lines that import what it calls.

    arrays: their names, last that of the result, `result_`, before it that of the elements whose
    size counts.  below: what the size has to be for the shorter formulas.
    """
    some = [f"some_{name}" for name in arrays]
    slices = [f"{part} = {name}[start_:end_]" for part, name in zip(some, arrays, strict=True)]
    longer = write("some_")
    shorter = _SHORTENED.sub(r"near_\1(", longer)
    called = sorted(set(re.findall(r"\bnear_(\w+)\(", shorter)))
    if not called:
        return plain(write), ""
    body = _TEXT.format(
        block=BLOCK,
        below=below,
        last=some[-2],
        slices=textwrap.indent("\n".join(slices), " " * 8),
        shorter=textwrap.indent(shorter, " " * 12),
        longer=textwrap.indent(longer, " " * 12),
    )
    names = ", ".join(f"{name} as near_{name}" for name in called)
    return body, (
        f"from tinygrad_opt.kernels.functions.near import {names}\n"
        "from tinygrad_opt.kernels.functions.primitives import size_bits\n"
    )
