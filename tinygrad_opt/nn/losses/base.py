"""What the losses share: one device for all, and mean, sum or nothing at the end."""

from __future__ import annotations

from typing import Any

from ... import functions, ops
from ...core.tensor import Tensor
from ..errors import warn_caller
from ..layer import Layer

__all__ = ["check_reduction", "chosen_reduction", "reduced"]


def check_reduction(reduction: str) -> None:
    """Raise ValueError for anything but "mean", "sum" and "none"."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'"
        )


def chosen_reduction(size_average: Any, reduce: Any, reduction: str) -> str:
    """`reduction`, unless one of the arguments that it replaced is given: these warn."""
    if size_average is None and reduce is None:
        return reduction
    each = reduce is not None and not reduce
    total = size_average is not None and not size_average
    meant = "none" if each else "sum" if total else "mean"
    warn_caller(
        f"size_average and reduce args will be deprecated, please use reduction={meant!r} instead."
    )
    return meant


def reduced(loss: Any, reduction: str) -> Any:
    """The loss per element, reduced as asked."""
    check_reduction(reduction)
    if reduction == "mean":
        return functions.mean(loss)
    return ops.sum(loss) if reduction == "sum" else loss


# What the loss modules inherit ------------------------------------------------------------------


class _Loss(Layer):
    """A loss that reduces with "mean", "sum" or "none"; ValueError for another `reduction`."""

    _unkept = frozenset({"size_average", "reduce"})  # which `reduction` replaces

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        if any(isinstance(value, Tensor) for value in (size_average, reduce, reduction)):
            name = type(self).__name__
            raise RuntimeError(
                f"{name}: expected settings, got a Tensor. A loss is made first, and then called: "
                f"loss_fn = nn.{name}(), loss = loss_fn(input, target)"
            )
        self.reduction = chosen_reduction(size_average, reduce, reduction)
        if self.reduction != "batchmean":  # which only KLDivLoss knows
            check_reduction(self.reduction)

    def _take(self, given: dict[str, Any]) -> None:
        reductions = ("size_average", "reduce", "reduction")
        chosen: Any = {name: given[name] for name in reductions if name in given}
        _Loss.__init__(self, **chosen)
        for name, value in given.items():
            if name in ("weight", "pos_weight"):  # they move with the module
                self.register_buffer(name, value)
            elif name not in reductions:
                setattr(self, name, value)

    @classmethod
    def _documented(cls, text: str) -> str:
        return text if "reduction" in text else f"{text}\n\n{_REDUCED}"


_REDUCED = 'Returns the mean; with reduction="sum" the sum, with "none" all values.'


class _WeightedLoss(_Loss):
    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
