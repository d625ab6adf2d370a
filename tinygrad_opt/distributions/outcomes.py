"""What distributions of outcomes share: probabilities or logits, one given, the other derived."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from .utils import lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Outcomes", "TwoOutcomes", "one_of"]


def one_of(first: str, a: Any, second: str, b: Any) -> tuple[str, Any]:
    """The name and value of the one that is given. Raises ValueError for both, or for none."""
    if (a is None) == (b is None):
        raise ValueError(f"Either `{first}` or `{second}` must be specified, but not both.")
    return (first, a) if b is None else (second, b)


class Outcomes:
    """A mixin: `_param` is that of the two which was given."""

    @property
    def _param(self) -> Tensor:
        return vars(self)["probs"] if "probs" in vars(self) else vars(self)["logits"]

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter."""
        return self._param.shape


class TwoOutcomes(Outcomes):
    """A mixin for trials that succeed or fail, each with the same probability."""

    @lazy_property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """The probability of success."""
        return logits_to_probs(self.logits, is_binary=True)
