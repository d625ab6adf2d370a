"""All that a Tensor can do: `methods.py` is the table that binds it."""

from . import methods
