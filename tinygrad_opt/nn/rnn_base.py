"""What recurrent layers have in common: parameters, layers, directions, kinds of input."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from .. import functions, ops
from ..arrays import dtypes
from ..arrays.size import WHOLE
from ..arrays.xp import xp
from ..core.tensor import Tensor
from ..tensors.creation import empty
from . import functional as F
from . import init
from .errors import check_one_type
from .module import Module
from .packing import PackedSequence, checked_sizes
from .parameter import Parameter

__all__ = ["RNNBase"]

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


class RNNBase(Module):
    """What RNN, LSTM and GRU have in common: parameters, layers, directions, kinds of input.

    mode  "RNN_TANH", "RNN_RELU", "GRU" or "LSTM"; the other arguments as in `LSTM`

    Parameters, for layer k: weight_ih_lk (gates * hidden_size, input features), weight_hh_lk (gates
    * hidden_size, hidden_size), bias_ih_lk and bias_hh_lk (gates * hidden_size,), weight_hr_lk
    (proj_size, hidden_size); with `_reverse` for the backward direction. All start uniform on
    +-1/sqrt(hidden_size).
    """

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        _check_dropout(dropout, num_layers)
        _check_sizes(input_size, hidden_size, num_layers, proj_size, bias, batch_first)
        self.mode = mode
        self.input_size = int(input_size)
        self.hidden_size = int(hidden_size)
        self.num_layers = num_layers = int(num_layers)
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = int(proj_size)
        self._all_weights = [
            self._make_weights(layer, suffix, device, dtype)
            for layer in range(num_layers)
            for suffix in (("", "_reverse") if bidirectional else ("",))
        ]
        self.reset_parameters()

    def _make_weights(self, layer: int, suffix: str, device: Any, dtype: Any) -> list[str]:
        """Register the parameters of one direction of one layer; return their names."""
        rows, out = _GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        features = self.input_size if layer == 0 else out * (1 + self.bidirectional)
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, features),
            "weight_hh": (rows, out),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = []
        for kind, shape in shapes.items():
            names.append(f"{kind}_l{layer}{suffix}")
            setattr(self, names[-1], Parameter(empty(shape, device=device, dtype=dtype)))
        return names

    def reset_parameters(self) -> None:
        """Draws all parameters anew from the default generator."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: there is no faster layout of the parameters here."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, a list for each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [weight for weights in self.all_weights for weight in weights]

    # Forward --------------------------------------------------------------------------------------

    def _state_widths(self) -> tuple[int, ...]:
        """The features of each part of the state, the output first."""
        return (self.hidden_size,)

    def _operation(self, x: Any, state: Any, weights: Any, **when: Any) -> Tensor:
        """One direction of one layer: the operation of the mode, in `ops.recurrent`."""
        raise NotImplementedError(f"{type(self).__name__} has no operation of its own")

    def _forward(self, input: Any, states: tuple[Any, ...] | None) -> tuple[Any, list[Tensor]]:
        """The outputs in the input's form, and the final states (layers * directions, B, *)."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, states)
        self._check_rank(input, states)
        batched = input.ndim == 3
        if not batched:
            input = functions.unsqueeze(input, 1)
            if states is not None:
                states = tuple(functions.unsqueeze(s, 1) for s in states)
        elif self.batch_first:
            input = ops.swapaxes(input, 0, 1)
        self._check_input(input, 3)
        steps, batch, features = input.shape
        if steps == 0:
            raise RuntimeError(
                f"{type(self).__name__}: Expected sequence length to be larger than 0 in RNN, got "
                "an input without time steps"
            )
        states = self._checked_states(states, input, batch)
        rows, finals = self._run(input.reshape((steps * batch, features)), states, (batch,) * steps)
        output = rows.reshape((steps, batch, rows.shape[1]))
        if not batched:
            return functions.squeeze(output, 1), [functions.squeeze(s, 1) for s in finals]
        return (ops.swapaxes(output, 0, 1) if self.batch_first else output), finals

    def _forward_packed(self, input: PackedSequence, states: Any) -> tuple[Any, list[Tensor]]:
        self._check_input(input.data, 2)
        sizes = tuple(checked_sizes(input).tolist())
        if states is not None and input.sorted_indices is not None:
            states = [functions.index_select(s, 1, input.sorted_indices) for s in states]
        states = self._checked_states(states, input.data, sizes[0])
        rows, finals = self._run(input.data, states, sizes)
        if input.unsorted_indices is not None:
            finals = [functions.index_select(s, 1, input.unsorted_indices) for s in finals]
        return PackedSequence(rows, *input[1:]), finals

    def _run(self, rows: Any, states: Any, sizes: tuple[int, ...]) -> tuple[Any, list[Tensor]]:
        """All layers: (outputs of the last one by rows, the final states stacked)."""
        directions = 1 + self.bidirectional
        finals: list[list[Any]] = [[] for _ in states]
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(directions):
                k = layer * directions + direction
                weights = [getattr(self, name) for name in self._all_weights[k]]
                check_one_type(type(self).__name__, weights)
                state = [s[k] for s in states]
                flat = self._operation(rows, state, weights, sizes=sizes, reverse=direction == 1)
                y, *ends = _unpacked(flat, sum(sizes), sizes[0], self._state_widths())
                outputs.append(y)
                for final, end in zip(finals, ends, strict=True):
                    final.append(end)
            rows = outputs[0] if directions == 1 else ops.concatenate(outputs, axis=1)
            if self.dropout and layer < self.num_layers - 1:
                rows = F.dropout(rows, self.dropout, self.training)
        return rows, [ops.stack(final) for final in finals]

    # Checks ---------------------------------------------------------------------------------------

    def _check_rank(self, input: Any, states: Any) -> None:
        if input.ndim not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D tensor "
                "instead"
            )
        if states is None or all(s.ndim == input.ndim for s in states):
            return
        kind = "batched" if input.ndim == 3 else "unbatched"
        names = "hx" if len(states) == 1 else "hx and cx"
        found = ", ".join(f"{s.ndim}-D" for s in states)
        found = f"{found} tensor" if len(states) == 1 else f"({found}) tensors"
        raise RuntimeError(
            f"For {kind} {input.ndim}-D input, {names} should also be {input.ndim}-D but got "
            f"{found}"
        )

    def _check_input(self, input: Tensor, dims: int) -> None:
        weight = getattr(self, self._all_weights[0][0])
        if input.dtype != weight.dtype:
            ours, theirs = weight.dtype, input.dtype
            raise ValueError(
                f"RNN input dtype ({theirs}) does not match weight dtype ({ours}). Convert input: "
                f"input.to({ours}), or convert model: model.to({theirs})"
            )
        if input.ndim != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.shape[-1]}"
            )

    def _checked_states(self, states: Any, input: Tensor, batch: int) -> Any:
        """The initial states, zeros where none are given."""
        count = self.num_layers * (1 + self.bidirectional)
        expected = [(count, batch, width) for width in self._state_widths()]
        if states is None:
            return [xp(input.array).zeros(shape, input.dtype) for shape in expected]
        for i, (state, shape) in enumerate(zip(states, expected, strict=True)):
            name = "hidden" if len(expected) == 1 else f"hidden[{i}]"
            if tuple(state.shape) != shape:
                raise RuntimeError(f"Expected {name} size {shape}, got {list(state.shape)}")
            if state.dtype != input.dtype:
                raise RuntimeError(
                    f"{type(self).__name__}: input and hx must have the same dtype, but got "
                    f"{dtypes.name_of(input.dtype)} and {dtypes.name_of(state.dtype)}"
                )
        return states

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False),
            ("dropout", 0), ("bidirectional", False),
        ):  # fmt: skip
            value = getattr(self, name)
            text += "" if value == default else f", {name}={value}"
        return text


def _unpacked(flat: Tensor, rows: int, batch: int, widths: tuple[int, ...]) -> list[Any]:
    """The outputs (rows, H) and the final states (batch, .) out of an operation's flat result."""
    parts, start = [], 0
    for n, width in ((rows, widths[0]), *((batch, width) for width in widths)):
        parts.append(flat[start : start + n * width].reshape((n, width)))
        start += n * width
    return parts


def _check_dropout(dropout: Any, num_layers: int) -> None:
    number = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool)
    if not number or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element "
            f"being zeroed, got {dropout!r}"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=4,
        )


def _check_sizes(
    input_size: Any, hidden_size: Any, num_layers: Any, proj_size: Any, bias: Any, batch_first: Any
) -> None:
    for name, flag in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(size, WHOLE):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero, got {size}")
    if num_layers <= 0:
        raise ValueError(f"num_layers must be greater than zero, got {num_layers}")
    if proj_size < 0:
        raise ValueError(
            "proj_size should be a positive integer or zero to disable projections, got "
            f"{proj_size}"
        )
    if proj_size >= hidden_size:
        raise ValueError(
            f"proj_size has to be smaller than hidden_size, got {proj_size} and {hidden_size}"
        )
