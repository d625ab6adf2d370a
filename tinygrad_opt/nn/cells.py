"""Recurrent cells: one time step of an RNN, LSTM or GRU, for loops of one's own."""

from __future__ import annotations

import math
from typing import Any

from .. import functions, ops
from ..arrays import dtypes
from ..arrays.xp import xp
from ..core.tensor import Tensor
from ..tensors.creation import empty
from . import init
from .errors import check_one_type
from .module import Module
from .parameter import Parameter

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What the cells have in common: weights for `num_chunks` gates, and checks.

    weight_ih (gates * hidden_size, input_size), weight_hh (gates * hidden_size, hidden_size),
    bias_ih and bias_hh (gates * hidden_size,) start uniform on +-1/sqrt(hidden_size).
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None
    nonlinearity: str = "tanh"  # another one for RNNCell only

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            value = Parameter(empty(rows, device=device, dtype=dtype)) if bias else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters anew from the default generator."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        if self.nonlinearity != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _step(self, operation: Any, input: Tensor, states: Any, count: int, *more: Any) -> Any:
        """The new states, each like the input batched or not."""
        self._check_ranks(input, states)
        batched = input.ndim == 2
        x = input if batched else functions.unsqueeze(input, 0)
        if states is None:
            zeros = xp(x.array).zeros((x.shape[0], self.hidden_size), x.dtype)
            states = [zeros] * count
        elif not batched:
            states = [functions.unsqueeze(s, 0) for s in states]
        self._check_sizes(x, states)
        batch = x.shape[0]
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        flat = operation(x, *states, *weights, *more, sizes=(batch,))
        size = batch * self.hidden_size  # the flat result holds the output, then the states
        new = [flat[k * size : (k + 1) * size] for k in range(1, count + 1)]
        shape = (batch, self.hidden_size) if batched else (self.hidden_size,)
        return [s.reshape(shape) for s in new]

    def _check_ranks(self, input: Tensor, states: Any) -> None:
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        for i, state in enumerate(states or ()):
            if state.ndim not in (1, 2):
                what = "hidden" if len(states) == 1 else f"hx[{i}]"
                raise ValueError(
                    f"{name}: Expected {what} to be 1D or 2D, got {state.ndim}D instead"
                )

    def _check_sizes(self, x: Tensor, states: Any) -> None:
        name = type(self).__name__
        if x.shape[1] != self.input_size:
            raise RuntimeError(
                f"{name}: input has inconsistent input_size: got {x.shape[1]} expected "
                f"{self.input_size}"
            )
        if x.dtype != self.weight_ih.dtype:
            raise RuntimeError(
                f"{name}: mat1 and mat2 must have the same dtype, but got "
                f"{dtypes.name_of(x.dtype)} and {dtypes.name_of(self.weight_ih.dtype)}"
            )
        check_one_type(name, (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh))
        for i, state in enumerate(states):
            if state.shape[0] != x.shape[0]:
                raise RuntimeError(
                    f"{name}: Input batch size {x.shape[0]} doesn't match hidden{i} batch size "
                    f"{state.shape[0]}"
                )
            if state.shape[1] != self.hidden_size:
                raise RuntimeError(
                    f"{name}: hidden{i} has inconsistent hidden_size: got {state.shape[1]}, "
                    f"expected {self.hidden_size}"
                )
            if state.dtype != x.dtype:
                raise RuntimeError(
                    f"{name}: input and hx must have the same dtype, but got "
                    f"{dtypes.name_of(x.dtype)} and {dtypes.name_of(state.dtype)}"
                )


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it with nonlinearity="relu".

    x (B, input_size) and h (B, hidden_size), or both without B; h is zeros if not given.

    >>> RNNCell(2, 3)(Tensor([[0.0, 0.0]])).shape
    torch.Size([1, 3])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        relu = self.nonlinearity == "relu"

        def operation(*inputs: Any, sizes: Any) -> Any:
            return ops.rnn(*inputs, sizes=sizes, relu=relu)

        return self._step(operation, input, None if hx is None else (hx,), 1)[0]


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: x and the pair (h, c) to the new pair; (0, 0) if not given.

    x (B, input_size), h and c (B, hidden_size), or all without B.

    >>> h, c = LSTMCell(2, 3)(Tensor([[0.0, 0.0]]))
    >>> h.shape, c.shape
    (torch.Size([1, 3]), torch.Size([1, 3]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        h, c = self._step(ops.lstm, input, hx, 2, None)
        return h, c


class GRUCell(RNNCellBase):
    """One step of `GRU`: x and h to the new h; zeros if not given.

    x (B, input_size) and h (B, hidden_size), or both without B.

    >>> GRUCell(2, 3)(Tensor([[0.0, 0.0]])).shape
    torch.Size([1, 3])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(ops.gru, input, None if hx is None else (hx,), 1)[0]
