"""What watches and extends the core: hooks, modes, `grad`, functions of the user's own, checks.

The core itself, `../core/`, records operations (`op`) and runs them backwards (`backward`). Here
`modes.py` switches recording off and on, `grad.py` gives derivatives as values, `function.py` is
for operations of the user's own, `hooks.py` and `edges.py` are ways into a graph,
`saved_values.py` and `recorded_writes.py` watch over writes in place, `functional.py` makes
Jacobians and products with them, `gradcheck.py` compares derivatives with finite differences,
`anomaly.py` finds where a nan comes from, and `recompute.py` trades time for memory.
"""

from ..core.backward import backward
from ..core.node import Node
from ..core.record import op
from . import anomaly, edges, forward_ad, function, graph
from .anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .function import Function
from .grad import grad
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .variable import Variable

__all__ = [
    "Function", "GradcheckError", "Node", "Variable", "anomaly", "backward", "detect_anomaly",
    "enable_grad", "forward_ad", "function", "grad", "gradcheck", "gradgradcheck", "graph",
    "inference_mode", "is_anomaly_enabled", "is_grad_enabled", "no_grad", "op",
    "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip
