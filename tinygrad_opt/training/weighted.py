"""Losses whose samples count by weights of their own, for the estimators of `sklearn`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .. import nn

__all__ = ["Weighted", "packed"]


class Weighted(nn.Module):
    """A loss whose samples count by their weights: sum(weight loss) / sum(weight)."""

    def __init__(self, criterion: Any, who: str) -> None:
        super().__init__()
        if not hasattr(criterion, "reduction"):
            raise ValueError(
                f"{who}: sample_weight needs a criterion with a `reduction`, as those of nn have, "
                f"got {criterion!r}"
            )
        self.criterion = copy.deepcopy(criterion)
        self.criterion.reduction = "none"

    def forward(self, output: Any, packed: Any) -> Any:
        """packed: (samples, targets + 1), the weights last."""
        target, weight = packed[:, :-1], packed[:, -1].to(output.dtype)
        if isinstance(self.criterion, nn.CrossEntropyLoss | nn.NLLLoss):
            target = target[:, 0].long()
        else:
            target = target.to(output.dtype)
        losses = self.criterion(output, target)
        losses = losses.reshape(len(weight), -1).mean(1)
        return (losses * weight).sum() / weight.sum().clamp(min=1e-12)


def packed(y: Any, weights: Any) -> Any:
    """Targets and weights side by side, in float64, which holds any label."""
    columns = y.reshape(len(y), -1)
    return np.concatenate([columns, weights[:, None]], axis=1, dtype=np.float64)
