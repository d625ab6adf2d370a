"""What the modules share: their text, and the settings that most of them take."""

from __future__ import annotations

from ..layer import Layer, Shown

__all__ = ["Activation", "AlongDim", "Shrink"]


class Activation(Shown):
    """Shows its settings, and takes `inplace` where it takes nothing else."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = super().extra_repr()
        return ", ".join([shown] * bool(shown) + ["inplace=True"] * bool(vars(self).get("inplace")))


class Shrink(Layer):
    lambd: float

    def extra_repr(self) -> str:
        return str(self.lambd)


class AlongDim(Activation):
    def __init__(self, dim: int | None = None) -> None:
        super(Activation, self).__init__()
        self.dim = dim
