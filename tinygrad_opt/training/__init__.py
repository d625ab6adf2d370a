"""Beside the training loop: running it, watching it, and looking at what is trained.

fit, evaluate     the loop, with callbacks for checkpoints, early stopping, averages, clipping
predict           what a trained model says of data
progress          a bar or lines that show how far a loop of your own is
MetricsLog        numbers as JSON lines, and for TensorBoard
lr_range_test     a good learning rate, found by trying all of them
summary           a model's layers, shapes, parameters and memory
draw_graph        the recorded graph as a picture
"""

from .callbacks import EMA, ClipGradients, EarlyStopping
from .evaluation import accuracy, evaluate, predict
from .graph_picture.drawing import Drawing, draw_graph
from .history import History
from .loop import fit
from .lr_range import LRRange, lr_range_test
from .metrics_log import MetricsLog
from .model_summary.summary import summary
from .model_summary.table import LayerRow, Summary
from .on_disk import LogMetrics, SaveCheckpoints
from .progress import progress
from .run import Callback, Run

__all__ = [
    "EMA", "Callback", "ClipGradients", "Drawing", "EarlyStopping", "History", "LRRange",
    "LayerRow", "LogMetrics", "MetricsLog", "Run", "SaveCheckpoints", "Summary", "accuracy",
    "draw_graph", "evaluate", "fit", "lr_range_test", "predict", "progress", "summary",
]  # fmt: skip
