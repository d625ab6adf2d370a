"""Reverse-mode automatic differentiation: recording (`op`), running backwards, checking.

`node.py` is the graph, `graph.py` records it, `engine.py` runs it backwards, `modes.py` switches
recording off and on; `function.py` is for operations of the user's own, `versions.py` and
`rebase.py` watch over writes in place, `functional.py` makes Jacobians and products with them,
`gradcheck.py` compares derivatives with finite differences, `anomaly.py` finds where a nan comes
from.
"""

from ..core.backward import backward
from ..core.node import Node
from ..core.record import is_grad_enabled, op
from . import anomaly, function
from .anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .function import Function
from .grad import grad
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from .variable import Variable

__all__ = [
    "Function", "GradcheckError", "Node", "Variable", "anomaly", "backward", "detect_anomaly",
    "enable_grad", "function", "grad", "gradcheck", "gradgradcheck", "inference_mode",
    "is_anomaly_enabled", "is_grad_enabled", "no_grad", "op", "set_detect_anomaly",
    "set_grad_enabled",
]  # fmt: skip
