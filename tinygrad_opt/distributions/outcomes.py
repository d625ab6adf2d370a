"""What distributions of outcomes share: probabilities or logits, one given, the other derived."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor

__all__ = ["Outcomes", "one_of"]


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
