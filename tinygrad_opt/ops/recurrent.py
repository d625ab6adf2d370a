"""Recurrent layers: one direction of one layer, over all time steps, as one operation.

The input's product with its weights is one matmul for all steps, and so is the gradient of each
weight; only h W_hh^T and the gates go step by step. How, and how x and the result are laid out, is
told in `kernels/fused/passages.py`, which has it as array code and as kernels.
"""

from __future__ import annotations

from typing import Any

from ..arrays.xp import xp
from ..core.record import op
from .shared_work import shared

__all__ = ["gru", "lstm", "rnn"]


def _added(b_ih: Any, b_hh: Any) -> Any:
    """The sum of two biases, either of which may be None."""
    return b_hh if b_ih is None else b_ih if b_hh is None else b_ih + b_hh


@op
def rnn(x, h, w_ih, w_hh, b_ih, b_hh, *, sizes, reverse=False, relu=False):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it. Elman 1990."""
    dot, bias = xp(x).dot, _added(b_ih, b_hh)
    y, back = xp(x).rnn_pair(dot(x, w_ih.T), bias, h, w_hh, sizes, reverse, relu)

    # found: dz, gradient of the biases, h before each row, gradient of h
    return y, *shared(
        back,
        lambda found: dot(found[0], w_ih),
        lambda found: found[3],
        lambda found: dot(found[0].T, x),
        lambda found: dot(found[0].T, found[2]),
        lambda found: found[1],
        lambda found: found[1],
    )


@op
def gru(x, h, w_ih, w_hh, b_ih, b_hh, *, sizes, reverse=False):
    """The gates and the new state as in `kernels.fused.recurrent.gru_step`."""
    dot = xp(x).dot
    y, back = xp(x).gru_pair(dot(x, w_ih.T), b_ih, b_hh, h, w_hh, sizes, reverse)

    # found: dz, du, gradients of the biases, h before each row, gradient of h
    return y, *shared(
        back,
        lambda found: dot(found[0], w_ih),
        lambda found: found[5],
        lambda found: dot(found[0].T, x),
        lambda found: dot(found[1].T, found[4]),
        lambda found: found[2],
        lambda found: found[3],
    )


@op
def lstm(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, *, sizes, reverse=False):
    """The gates and the new state as in `kernels.fused.recurrent.lstm_step`.

    Then h' = W_hr h', if that is given. Projection: Sak et al. 2014, arXiv:1402.1128.
    """
    dot, bias = xp(x).dot, _added(b_ih, b_hh)
    y, back = xp(x).lstm_pair(dot(x, w_ih.T), bias, h, c, w_hh, w_hr, sizes, reverse)

    # found: dz, gradient of the biases, h before each row, gradients of h, c and w_hr
    return y, *shared(
        back,
        lambda found: dot(found[0], w_ih),
        lambda found: found[3],
        lambda found: found[4],
        lambda found: dot(found[0].T, x),
        lambda found: dot(found[0].T, found[2]),
        lambda found: found[1],
        lambda found: found[1],
        lambda found: found[5],
    )
