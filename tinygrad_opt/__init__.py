"""tinygrad_opt: reverse-mode autodiff with fused optimizer kernels, in PyTorch's shape.

    import tinygrad_opt as torch
    from tinygrad_opt import nn, optim

`Tensor` computes gradients (`autograd`, `ops`), `nn` builds networks, `optim` updates them with the
fused kernels in `kernels`, `utils.data` feeds them. Names, arguments and results are PyTorch's.
"""

from math import e, inf, nan, pi

from ._checkout import find_kernels as _find_kernels
from ._pause import Pause as _Pause

_pause = _Pause()
_find_kernels(__path__)

from . import (
    __config__,
    accelerator,
    amp,
    autograd,
    backend,
    backends,
    cuda,
    kernels,
    random,
    sparse,
    types,
    version,
)
from .amp import (
    GradScaler,
    autocast,
    get_autocast_dtype,
    is_autocast_enabled,
)  # fmt: skip
from .arrays import namespace
from .arrays.dtypes import can_cast, finfo, iinfo, set_default_dtype
from .arrays.element_types import (  # fmt: skip
    bfloat16,
    bool,
    cdouble,
    cfloat,
    complex64,
    complex128,
    double,
    dtype,
    float,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    short,
    uint8,
)
from .arrays.random import (  # fmt: skip
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)  # fmt: skip
from .autograd.modes import is_inference_mode_enabled
from .core.tensor import Size, Tensor
from .functions import *
from .functions import return_types
from .kernels.threads import get_num_threads, set_num_threads
from .porting.global_settings import *
from .tensors.creation import (  # fmt: skip
    arange,
    as_tensor,
    asarray,
    device,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    scalar_tensor,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from .tensors.foreach import *
from .tensors.inplace_functions import *
from .tensors.interchange import from_dlpack, frombuffer
from .tensors.layouts import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    sparse_coo,
    strided,
)
from .tensors.printing import set_printoptions
from .tensors.rowsparse import sparse_coo_tensor, spmm
from .tensors.sampling import *
from .tensors.typed import *

__version__ = "0.1.0"

newaxis = None

from .porting import paths as _paths

_paths.install()
del _pause

# Loaded when somebody asks for them: name -> module.
_LATE = {name: name for name in _paths.LATE if "." not in name}
_LATE |= {"compile": "compiled", "vmap": "func", **dict.fromkeys(("load", "save"), "serialization")}
_LATE |= dict.fromkeys(("checkpoints", "draw_graph", "summary"), "training")
_LATE |= dict.fromkeys(("celu_", "relu_", "rrelu_", "selu_", "threshold_"), "nn.activation.inplace")
_LATE |= dict.fromkeys(
    (
        "adaptive_avg_pool1d", "adaptive_max_pool1d", "avg_pool1d", "bilinear", "channel_shuffle",
        "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
        "cosine_similarity", "hardshrink", "max_pool1d", "max_pool2d", "max_pool3d",
        "pairwise_distance", "pixel_shuffle", "pixel_unshuffle", "prelu", "rms_norm",
    ),
    "nn.functional",
)  # fmt: skip
_otherwise = _paths.missing("")


def __getattr__(name: str) -> object:
    if name == "__all__":
        return [n for n in __dir__() if not n.startswith("_")]
    if name not in _LATE:
        return _otherwise(name)
    from importlib import import_module

    module = import_module(f"{__name__}.{_LATE[name]}")
    globals()[name] = module if _LATE[name] == name else getattr(module, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
