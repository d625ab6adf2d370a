"""Softmax over many classes, most of them rare."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import functions as fn
from ..core.tensor import Tensor
from .containers import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """log softmax over classes in the order of their frequency, the rare ones in clusters.

    The head tells the first `cutoffs[0]` classes and the clusters; a class beyond it has the
    probability of its cluster times that within it (Grave et al. 2017, arXiv:1609.04309). Cluster
    i works on in_features / div_value^(i + 1) features.

    forward(input (batch, in_features) or (in_features,), target) -> (output, loss): the logarithm
    of the probability of each target, and minus their mean. `head_bias`: a bias in the head.
    Raises ValueError for cutoffs that do not ascend between 1 and n_classes - 1.

    >>> layer = AdaptiveLogSoftmaxWithLoss(16, 10, [2, 5])
    >>> layer(zeros(3, 16), tensor([0, 3, 9])).output.shape[0]
    3
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
        head_bias: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        cuts = list(cutoffs)
        if not cuts:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cuts != sorted(cuts) or min(cuts) <= 0 or max(cuts) > n_classes - 1
            or len(set(cuts)) != len(cuts) or any(int(c) != c for c in cuts)
        ):  # fmt: skip
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
                "order, where each value is between 1 and n_classes-1"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cuts, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cuts[0], len(cuts)
        self.head_size = self.shortlist_size + self.n_clusters
        more: Any = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **more)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(Sequential(
                Linear(in_features, hidden, bias=False, **more),
                Linear(hidden, size, bias=False, **more),
            ))  # fmt: skip

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        self.head.reset_parameters()
        for into, out in self.tail:
            into.reset_parameters()
            out.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> Any:
        """(output, loss) of features and the classes they should have.

        Raises RuntimeError for shapes that do not go together, and for classes beyond the last.
        """
        rows, classes = self._batch(input, target)
        head = fn.log_softmax(self.head(rows), 1)
        labels = classes.array
        if labels.size and (labels.min() < 0 or labels.max() >= self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{int(labels.min())}, {int(labels.max())}] were found. "
            )
        short = labels < self.shortlist_size
        cluster = np.searchsorted(self.cutoffs, labels, "right") - 1  # -1 in the head's own
        at = np.where(short, labels, self.shortlist_size + cluster)
        output = fn.gather(head, 1, target.new_tensor(at).reshape(-1, 1)).squeeze(1)
        for i in range(self.n_clusters):
            here = np.flatnonzero(cluster == i)
            if not len(here):
                continue
            index = target.new_tensor(here)
            inside = fn.log_softmax(self.tail[i](rows[index]), 1)
            relative = target.new_tensor(labels[here] - self.cutoffs[i]).reshape(-1, 1)
            output = output.index_add(0, index, fn.gather(inside, 1, relative).squeeze(1))
        loss = (-output).mean()
        return _ASMoutput(output if target.ndim else output.squeeze(0), loss)

    def _batch(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if target.ndim == 1:
            if input.shape[0] != target.shape[0]:
                raise RuntimeError(
                    "Input and target should have the same size in the batch dimension."
                )
            if input.ndim != 2:
                raise RuntimeError("1D target tensor expects 2D input tensors, but found inputs "
                                   f"with size {tuple(input.shape)}")  # fmt: skip
            return input, target
        if target.ndim == 0:
            if input.ndim != 1:
                raise RuntimeError("0D target tensor expects 1D input tensors, but found inputs "
                                   f"with size {tuple(input.shape)}")  # fmt: skip
            return input.unsqueeze(0), target.unsqueeze(0)
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")

    def log_prob(self, input: Tensor) -> Tensor:
        """The logarithms of the probabilities of all classes: (batch, n_classes)."""
        return self._full(input, self.head(input))

    def _full(self, input: Tensor, head: Tensor) -> Tensor:
        log_head = fn.log_softmax(head, 1)
        parts = [log_head[:, : self.shortlist_size]]
        for i in range(self.n_clusters):
            own = log_head[:, self.shortlist_size + i].unsqueeze(1)
            parts.append(fn.log_softmax(self.tail[i](input), 1) + own)
        return fn.cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each row, as `log_prob(input).argmax(1)`."""
        head = self.head(input)
        best = fn.argmax(head, 1)
        if (best.array < self.shortlist_size).all():
            return best
        return fn.where(best < self.shortlist_size, best, fn.argmax(self._full(input, head), 1))
