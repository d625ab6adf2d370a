"""Convolution and its relatives: each is the pullback of the others, to any order of derivative.

`at` is the `Window` that says where the windows stand. Images are (batch, channels, *image).
"""

from __future__ import annotations

from ..autograd.graph import op
from ..backend import xp


@op
def convolve(x, w, bias, *, at):
    # y[n, o, p] = b[o] + sum over channel c and tap t of w[o, c, t] x[n, c, p * stride + t]
    axes = (0, *range(2, len(x.shape)))
    return (
        xp(x).convolve(x, w, bias, at=at),
        lambda g: xp(g).convolve_input(g, w, at=at),
        lambda g: xp(g).convolve_weight(g, x, at=at),
        lambda g: xp(g).sum(g, axis=axes),
    )


@op
def convolve_input(g_out, w, *, at):
    return (
        xp(g_out).convolve_input(g_out, w, at=at),
        lambda g: xp(g).convolve(g, w, None, at=at),
        lambda g: xp(g).convolve_weight(g_out, g, at=at),
    )


@op
def convolve_weight(g_out, x, *, at):
    return (
        xp(g_out).convolve_weight(g_out, x, at=at),
        lambda g: xp(g).convolve(x, g, None, at=at),
        lambda g: xp(g).convolve_input(g_out, g, at=at),
    )


@op
def columns(x, *, at):
    """The patches under the windows: (batch, channels, taps, *output)."""
    return xp(x).columns(x, at=at), lambda g: xp(g).uncolumns(g, at=at)


@op
def uncolumns(patches, *, at):
    """Patches added up to an image."""
    return xp(patches).uncolumns(patches, at=at), lambda g: xp(g).columns(g, at=at)
