"""Optimizers and learning-rate schedulers, as `torch.optim`; `textbook`: other forms."""

from . import lr_scheduler, swa_utils, textbook
from .adam import AdaBelief, Adam, Adamax, AdamW, NAdam, RAdam
from .adam_relatives import ADOPT, Adan, SparseAdam
from .adaptive import Adadelta, Adagrad, RMSprop
from .layerwise import LAMB, LARS
from .lbfgs import LBFGS
from .matrix import SOAP, Adafactor, Muon
from .optimizer import Optimizer
from .parameters import param_groups_weight_decay
from .prodigy import Prodigy
from .schedule_free import AdamWScheduleFree, SGDScheduleFree
from .sgd import ASGD, SGD, Lion, Rprop

__all__ = [
    "ADOPT",
    "ASGD",
    "LAMB",
    "LARS",
    "LBFGS",
    "SGD",
    "SOAP",
    "AdaBelief",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamWScheduleFree",
    "Adamax",
    "Adan",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "Prodigy",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGDScheduleFree",
    "SparseAdam",
    "lr_scheduler",
    "param_groups_weight_decay",
    "swa_utils",
    "textbook",
]
