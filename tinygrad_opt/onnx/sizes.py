"""Lengths that depend on the sizes of the inputs, found by running the model at several of them.

A model computes with lengths as plain numbers (`x.view(x.size(0), -1)`, `pe[:, :T]`). So it is run
at several sizes of each axis that is to be free; what is the same in all runs is a
constant, and what is not must be a sum of products of those sizes, the same one in every run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .errors import OnnxExporterError

__all__ = ["Form", "Size", "fitted"]


class Size(tuple[int, ...]):
    """A number that differs between runs: its value in each."""

    __slots__ = ()


Form = dict[tuple[str, ...], int]  # factors of products of axes; of () it is a constant


def fitted(values: Sequence[int], runs: Sequence[dict[str, int]], what: str) -> Form:
    """The form of a number: a sum of whole multiples of products of the axes' sizes.

    Products are of axes that vary together in some run. Raises OnnxExporterError where no such sum
    holds in all runs: for a rounded quotient, for instance.
    """
    products = [tuple(axis for axis in run if run[axis] != runs[0][axis]) for run in runs]
    products = list(dict.fromkeys([(), *products]))
    table = np.array(
        [[math.prod(run[a] for a in p) for p in products] for run in runs], dtype=float
    )
    factors = np.linalg.lstsq(table, np.array(values, dtype=float), rcond=None)[0].round()
    form = {p: int(k) for p, k in zip(products, factors, strict=True) if k}
    sums = [sum(k * math.prod(run[a] for a in p) for p, k in form.items()) for run in runs]
    if sums != list(values):
        raise OnnxExporterError(
            f"a length in {what} follows the axes in dynamic_axes, and is no sum of "
            f"products of them: {list(values)} for {list(runs)}. Leave that axis out of "
            "dynamic_axes, or write -1 where a shape may be worked out"
        )
    return form
