"""The inner steps of layers, as a namespace offers them: norms, attention, recurrent layers.

`Layers` has the formulas of `dense.py`, `normalization.py`, `attention.py`, `recurrent.py` and
`passages.py` in `kernels/fused/`: they take the namespace as their first argument, as methods do.
On NumPy's arrays `FastLayers` puts the kernels that stand beside them in their place, on CuPy's
`DeviceLayers`. `tests/test_twins.py` holds the first two equal.
"""

from __future__ import annotations

from typing import Any

from ..kernels.fused import attention, dense, normalization, passages, recurrent

__all__ = ["FastLayers", "Layers"]


class Layers:
    """Formulas, for any array library."""

    epilogue = dense.epilogue
    moments = normalization.moments
    standardize_pair = normalization.standardize_pair
    rms_pair = normalization.rms_pair
    affine_pair = normalization.affine_pair
    attention_pair = attention.attention_pair
    packed_attention_pair = attention.packed_attention_pair
    attention_weights = attention.attention_weights
    attention_scores_back = attention.attention_scores_back
    lstm_step, lstm_step_back = recurrent.lstm_step, recurrent.lstm_step_back
    gru_step, gru_step_back = recurrent.gru_step, recurrent.gru_step_back
    rnn_pair, gru_pair, lstm_pair = passages.rnn_pair, passages.gru_pair, passages.lstm_pair


class FastLayers:
    """Kernels, for NumPy's arrays."""

    moments = normalization.fused_moments
    standardize_pair = normalization.fused_standardize_pair
    rms_pair = normalization.fused_rms_pair
    affine_pair = normalization.fused_affine_pair
    attention_pair = attention.fused_attention_pair
    lstm_step, lstm_step_back = recurrent.fused_lstm_step, recurrent.fused_lstm_step_back
    gru_step, gru_step_back = recurrent.fused_gru_step, recurrent.fused_gru_step_back
    rnn_pair, gru_pair = passages.fused_rnn_pair, passages.fused_gru_pair
    lstm_pair = passages.fused_lstm_pair

    def rows(self, table: Any, index: Any) -> Any:
        return table.take(index, axis=0)  # half the time of table[index]
