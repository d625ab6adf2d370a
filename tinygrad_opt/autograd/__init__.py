"""Reverse-mode automatic differentiation: recording (`op`), running backwards, checking.

`graph.py` records, `engine.py` runs the graph backwards, `modes.py` switches recording off and on,
`gradcheck.py` compares derivatives with finite differences.
"""

from .engine import backward, grad
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .graph import Node, Variable, op
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "GradcheckError", "Node", "Variable", "backward", "enable_grad", "grad", "gradcheck",
    "gradgradcheck", "inference_mode", "is_grad_enabled", "no_grad", "op", "set_grad_enabled",
]  # fmt: skip
