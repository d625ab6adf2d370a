"""Texts of CUDA kernels for functions of one element: the rows of `elementwise.py`, as they stand.

A row `gelu` becomes the kernels `gelu_value`, of x and the settings, and `gelu_slope`, of g, what
was saved and the settings. What the row's functions call is the device's own (`math.exp`).
"""

from __future__ import annotations

from ...compiler.lower import lower
from ...compiler.syntax import parse_element
from ..elementwise import ROWS
from .pieces import ELEMENT

__all__ = ["text"]


def text(name: str, dtype: str) -> tuple[str, str, str]:
    """The kinds of a kernel's arrays and scalars, and its text: see `__init__.py`.

    Raises KeyError for a name that is not of a row with `_value` or `_slope`.
    """
    row_name, _, way = name.rpartition("_")
    row = ROWS[row_name]
    rule = parse_element({"value": row.value, "slope": row.slope}[way], name)
    lowered = lower(rule, dtype, True)
    names = [lowered.names[argument] for argument in rule.arguments]
    count = len(names) - len(row.settings)
    lines = [f"{x} = {x}_[k]" for x in names[:count]]
    lines += [*lowered.lines, f"result_[k] = {lowered.outputs[0]}"]
    arrays = [*(f"{x}_" for x in names[:count]), "result_"]
    head = f"def {name}({', '.join([*arrays, 'size', *names[count:]])}):\n"
    body = "".join(f"    {line}\n" for line in lines)
    return "d" * len(arrays), "q" + "d" * len(row.settings), head + ELEMENT + body
