"""The tables of layers, losses and functions: how each is built, its formula, and its inputs.

A row of LAYERS is (constructor from a library's `nn`, formula, shapes of normal inputs). The
formula takes the inputs, then the layer's state by name, in NumPy. A row of LOSSES or FUNCTIONS is
the settings, then (sampler, shape) for each input; its formula has the function's name in
`references`. Where a class is a function and no more, as `Softsign` is `softsign`, the function's
rows serve it too.
"""

import inspect

import references

from tinygrad_opt import nn

from .functions import CONSTANTS, FUNCTIONS
from .images import CONVOLUTIONS, PADDING, POOLING, RESIZING
from .layers import ACTIVATIONS, DROPOUT, LINEAR, NORMALIZATION
from .losses import FORMULAS, LOSSES
from .samplers import normal, written_as


def rows_of_functions():
    """Rows of the classes that are a function of one input: constructor, formula, shape."""
    for kind in nn.__all__:
        name = written_as(kind, FUNCTIONS)
        for settings, *inputs in FUNCTIONS.get(name, ()):
            if len(inputs) == 1 and inputs[0][0] is normal and _needed(kind) <= settings.keys():
                label = ", ".join([kind, *(f"{k} {v}" for k, v in settings.items())])
                yield label, (_layer(kind, settings), _formula(name, settings), inputs[0][1])


def _needed(kind):
    """The arguments that a constructor has no default for."""
    parameters = inspect.signature(getattr(nn, kind)).parameters.values()
    return {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD}


def _layer(kind, settings):
    return lambda nn: getattr(nn, kind)(**settings).eval()


def _formula(name, settings):
    return lambda x, **state: getattr(references, name)(x, **settings, **state)


LAYERS = {
    **dict(rows_of_functions()), **ACTIVATIONS, **DROPOUT, **LINEAR, **NORMALIZATION,
    **CONVOLUTIONS, **POOLING, **RESIZING, **PADDING,
}  # fmt: skip

# What is not a layer of its own, but holds parameters or other modules.
NO_LAYERS = {
    "Buffer", "Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList",
    "RNNBase", "RNNCellBase", "UninitializedBuffer", "UninitializedParameter", "functional", "init",
    "utils",
}  # fmt: skip

# Whose formulas stand in a test of their own, and where: without PyTorch as well.
ELSEWHERE = {
    "AdaptiveLogSoftmaxWithLoss": "test_adaptive.py",
    "FractionalMaxPool2d": "test_fractional_pooling.py",
    "FractionalMaxPool3d": "test_fractional_pooling.py",
    "fractional_max_pool2d": "test_fractional_pooling.py",
    "fractional_max_pool2d_with_indices": "test_fractional_pooling.py",
    "fractional_max_pool3d": "test_fractional_pooling.py",
    "fractional_max_pool3d_with_indices": "test_fractional_pooling.py",
    "affine_grid": "test_grid_sample.py",
    "grid_sample": "test_grid_sample.py",
    "pdist": "../op_rows/special.py",
    "CTCLoss": "test_ctc.py",
    "ctc_loss": "test_ctc.py",
    "Embedding": "test_embedding.py",
    "EmbeddingBag": "test_embedding.py",
    "RNN": "test_rnn.py",
    "LSTM": "test_rnn.py",
    "GRU": "test_rnn.py",
    "RNNCell": "test_rnn.py",
    "LSTMCell": "test_rnn.py",
    "GRUCell": "test_rnn.py",
    "MultiheadAttention": "test_attention.py",
    "multi_head_attention_forward": "test_attention.py",
    "Transformer": "test_transformer.py",
    "TransformerDecoder": "test_transformer.py",
    "TransformerDecoderLayer": "test_transformer.py",
    "TransformerEncoder": "test_transformer.py",
    "TransformerEncoderLayer": "test_transformer.py",
    "MaxUnpool1d": "test_pooling.py",
    "MaxUnpool2d": "test_pooling.py",
    "MaxUnpool3d": "test_pooling.py",
    **dict.fromkeys(
        [
            "DataParallel",
            "SyncBatchNorm",
            "celu_",
            "elu_",
            "hardtanh_",
            "leaky_relu_",
            "relu_",
            "rrelu_",
            "selu_",
            "threshold_",
        ],
        "test_one_device.py",
    ),
}

# The random ones, whose formulas hold for what was drawn: test_random_formulas.py.
RANDOM = {
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
    "gumbel_softmax",
}  # fmt: skip

__all__ = [
    "CONSTANTS", "ELSEWHERE", "FORMULAS", "FUNCTIONS", "LAYERS", "LOSSES", "NO_LAYERS", "RANDOM",
]  # fmt: skip
