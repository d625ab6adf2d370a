"""Models as ONNX files, as `torch.onnx`: what other runtimes read.

The model is run and noted (`tracing.py`, `trace.py`), at several sizes of the axes that are to be
free (`sizes.py`), the runs are laid over each other (`merging.py`), and each operation becomes
nodes by its row in `operations.py`, `indexing.py`, `recurrent.py` or `layers.py`. Loaded when
somebody asks for it.
"""

from .errors import OnnxExporterError, UnsupportedOperatorError
from .export import TrainingMode, export, is_in_onnx_export

__all__ = [
    "OnnxExporterError", "TrainingMode", "UnsupportedOperatorError", "export", "is_in_onnx_export",
]  # fmt: skip
