"""What the modules share: their text, and the settings that most of them take."""

from __future__ import annotations

from ..layer import Layer

__all__ = ["Activation", "AlongDim", "Shrink"]


class Activation(Layer):
    """Shows its settings, and takes `inplace` where it takes nothing else."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        values = {name: getattr(self, name) for name in self._settings}
        shown = [f"{k}={v!r}" if isinstance(v, str) else f"{k}={v}" for k, v in values.items()]
        return ", ".join([*shown, "inplace=True"] if vars(self).get("inplace") else shown)


class Shrink(Layer):
    lambd: float

    def extra_repr(self) -> str:
        return str(self.lambd)


class AlongDim(Activation):
    def __init__(self, dim: int | None = None) -> None:
        super(Activation, self).__init__()
        self.dim = dim
