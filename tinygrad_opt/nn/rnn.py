"""Recurrent layers over whole sequences: RNN, LSTM and GRU. One step of each: `cells.py`."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.tensor import Tensor
from .rnn_base import RNNBase

__all__ = ["GRU", "LSTM", "RNN"]


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu of it. Elman 1990.

    nonlinearity  "tanh" or "relu"; the other arguments, inputs and results as in `GRU`

    >>> layer = RNN(3, 4, nonlinearity="relu")
    >>> output, h_n = layer(Tensor([[0.0] * 3] * 5))
    >>> output.shape, h_n.shape
    (torch.Size([5, 4]), torch.Size([1, 4]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, device: Any = None, dtype: Any = None, **unsupported: Any,
    ) -> None:  # fmt: skip
        _refuse(type(self), unsupported)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional, device=device, dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity

    def _operation(self, x: Any, state: Any, weights: Any, **when: Any) -> Tensor:
        weights = weights if self.bias else [*weights, None, None]
        return ops.rnn(x, *state, *weights, **when, relu=self.nonlinearity == "relu")

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        output, (h,) = self._forward(input, None if hx is None else (hx,))
        return output, h


class GRU(RNNBase):
    """Gated recurrent units. Cho et al. 2014, arXiv:1406.1078.

        r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)       z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r (W_hn h + b_hn))      h' = (1 - z) n + z h

    input_size, hidden_size  features of x and of h
    num_layers     each but the first reads the outputs of the one before
    bias           whether the b are there
    batch_first    x and output are (B, T, *) instead of (T, B, *); the states never are
    dropout        applied in training to the outputs of all layers but the last
    bidirectional  a second pass goes from the end to the start; outputs stand side by side

    Called with x (T, B, input_size), (T, input_size) or a PackedSequence, and optionally the first
    state (layers * directions, B, hidden_size), it returns the outputs of the last layer (T, B,
    directions * hidden_size) in the form of x, and the last states in the form of the first.

    >>> output, h_n = GRU(3, 4, num_layers=2)(Tensor([[[0.0] * 3] * 2] * 5))
    >>> output.shape, h_n.shape
    (torch.Size([5, 2, 4]), torch.Size([2, 2, 4]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        device: Any = None, dtype: Any = None, **unsupported: Any,
    ) -> None:  # fmt: skip
        _refuse(type(self), unsupported)
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device=device, dtype=dtype,
        )  # fmt: skip

    def _operation(self, x: Any, state: Any, weights: Any, **when: Any) -> Tensor:
        weights = weights if self.bias else [*weights, None, None]
        return ops.gru(x, *state, *weights, **when)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        output, (h,) = self._forward(input, None if hx is None else (hx,))
        return output, h


class LSTM(RNNBase):
    """Long short-term memory. Hochreiter & Schmidhuber 1997; forget gates: Gers et al. 2000.

        i, f, o = sigmoid(W_i. x + b_i. + W_h. h + b_h.)   g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        c' = f c + i g                                     h' = o tanh(c')

    proj_size  if not 0: h' is projected to so many features by weight_hr. Sak et al. 2014

    The other arguments, inputs and results as in `GRU`, but the state is a pair (h, c), c with
    hidden_size features.

    >>> output, (h_n, c_n) = LSTM(3, 4, bidirectional=True)(Tensor([[[0.0] * 3] * 2] * 5))
    >>> output.shape, h_n.shape, c_n.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 2, 4]), torch.Size([2, 2, 4]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            proj_size, device, dtype,
        )  # fmt: skip

    def _state_widths(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)

    def _operation(self, x: Any, state: Any, weights: Any, **when: Any) -> Tensor:
        projection = weights[-1] if self.proj_size else None
        biases = weights[2:4] if self.bias else [None, None]
        return ops.lstm(x, *state, *weights[:2], *biases, projection, **when)

    def forward(
        self, input: Any, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        if hx is not None and (isinstance(hx, Tensor) or len(hx) != 2):
            raise RuntimeError("LSTM: hx must be a pair of tensors (h_0, c_0)")
        output, (h, c) = self._forward(input, None if hx is None else tuple(hx))
        return output, (h, c)


def _refuse(kind: type, unsupported: dict[str, Any]) -> None:
    if "proj_size" in unsupported:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
    if unsupported:
        name = next(iter(unsupported))
        raise TypeError(f"{kind.__name__}.__init__() got an unexpected keyword argument '{name}'")
