"""Chapter 13: arrays end to end."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..judging import Wrong, array_of, need, same, values


def check(answer: Any) -> str:
    """Values, shapes and types; shared memory in both directions; odd layouts, single numbers."""
    lay = need(answer, "lay")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 3)), rng.normal(size=(4, 2)).T, rng.normal(size=3), np.array(7.0)]
    arrays = [a.astype(np.float32) for a in arrays]
    found = lay(arrays)
    if not isinstance(found, tuple) or len(found) != 2:
        raise Wrong("lay(arrays)", "two things: flat, views", type(found).__name__)
    flat, views = found
    array_of("flat", flat)
    what = "flat of arrays of shapes (2, 3), (2, 4), (3,), ()"
    if not isinstance(flat, np.ndarray) or flat.dtype != np.float32:
        kind = getattr(flat, "dtype", type(flat).__name__)
        raise Wrong(what, "a float32 array", kind, "np.empty(size, dtype) takes the arrays' dtype")
    expected = np.concatenate([a.ravel() for a in arrays])
    values(what, flat, expected, "all numbers, row by row, one array after the other")
    same("the number of views", len(views), len(arrays), "one view for each array")
    for a, view in zip(arrays, views, strict=True):
        values(f"the view of shape {a.shape}", view, a, "flat[start:end].reshape(shape)")
    flat[:] = np.arange(flat.size)
    copies = (
        "it has memory of its own: concatenate, flatten and copies do not share; take slices of "
        "flat, and reshape those"
    )
    start = 0
    for a, view in zip(arrays, views, strict=True):
        wanted = np.arange(start, start + a.size).reshape(a.shape)
        values(f"the view of shape {a.shape} after flat[:] = 0, 1, 2, ...", view, wanted, copies)
        start += a.size
    views[0][...] = -1.0
    values("flat after views[0][...] = -1", flat[:7], [-1.0] * 6 + [6.0], copies)
    return "one vector, and every array still in its own shape"
