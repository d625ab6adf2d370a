"""PyTorch's place of `RelaxedOneHotCategorical`."""

from .relaxed import RelaxedOneHotCategorical

__all__ = ["RelaxedOneHotCategorical"]
