"""PyTorch's longer paths, and what is said where it has a name that is not here.

`from torch.nn.modules.loss import _Loss` finds what stands in `nn/losses`: PLACES says for every
path of PyTorch's that is not a file here which modules its names are in. Such a module is made when
the package is imported, costs a microsecond, and hands on. A name of PyTorch's that is nowhere
raises AttributeError, or ImportError on import, that says so and what to use (`instead.py`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .._rooms import Finder
from . import instead

__all__ = ["NAMES", "PLACES", "install", "missing"]

_PACKAGE = __name__.split(".")[0]

# Modules that are loaded when somebody asks for them.
LATE = (
    "autograd.functional", "compiled", "data", "distributed", "distributions", "fft", "func", "hub",
    "jit", "linalg", "mps", "multiprocessing", "nn", "onnx", "optim", "serialization",
    "special", "testing", "training", "utils", "utils.data", "utils.tensorboard",
)  # fmt: skip

_PLAIN = """
    adaptive channelshuffle distance flatten fold linear pixelshuffle sparse transformer upsampling
"""

_DISTRIBUTIONS = """
    binomial geometric half_cauchy half_normal multinomial negative_binomial poisson
    relaxed_bernoulli relaxed_categorical
"""

_OPTIMIZER_FILES = "adadelta adagrad adamax adamw asgd nadam radam rmsprop rprop sparse_adam"

# Of each path, the modules whose names it hands on; the first that has one gives it.
PLACES: dict[str, tuple[str, ...]] = {
    **{f"nn.modules.{name}": ("nn",) for name in _PLAIN.split()},
    "nn.modules.activation": ("nn", "nn.activation"),
    "nn.modules.batchnorm": ("nn", "nn.batchnorm"),
    "nn.modules.container": ("nn", "nn.containers"),
    "nn.modules.conv": ("nn", "nn.conv", "nn.conv_transpose", "nn.modules.utils"),
    "nn.modules.dropout": ("nn", "nn.dropout"),
    "nn.modules.instancenorm": ("nn", "nn.batchnorm"),
    "nn.modules.lazy": ("nn", "nn.lazy"),
    "nn.modules.loss": ("nn", "nn.losses", "nn.losses.base"),
    "nn.modules.normalization": ("nn", "nn.normalization"),
    "nn.modules.padding": ("nn", "nn.padding"),
    "nn.modules.pooling": ("nn", "nn.average_pooling", "nn.max_pooling"),
    "nn.modules.rnn": ("nn", "nn.rnn_base", "nn.rnn"),
    "nn.parallel": ("nn.data_parallel", "distributed.data_parallel"),
    "nn.parallel.data_parallel": ("nn.data_parallel",),
    "nn.parallel.distributed": ("distributed.data_parallel",),
    "distributed.distributed_c10d": ("distributed",),
    "nn.common_types": ("types",),
    "nn.utils.stateless": ("func.stateless",),
    "utils.model_zoo": ("hub",),
    **{f"distributions.{name}": ("distributions",) for name in _DISTRIBUTIONS.split()},
    "autograd.grad_mode": ("autograd", "autograd.modes"),
    "autograd.anomaly_mode": ("autograd", "autograd.anomaly"),
    "cuda.memory": ("cuda",),
    "cuda.random": ("cuda",),
    "amp.autocast_mode": ("amp",),
    "amp.grad_scaler": ("amp",),
    "cpu": ("mps",),
    "cpu.amp": ("amp",),
    "xpu": ("mps",),
    **{f"optim.{name}": ("optim",) for name in _OPTIMIZER_FILES.split()},
    "utils.data.dataloader": ("utils.data", "data.loader", "data.collate"),
    "utils.data.distributed": ("distributed.sampler",),
    "utils.data.dataset": ("utils.data", "data.datasets"),
    "utils.data.sampler": ("utils.data", "data.samplers"),
    "utils.data._utils": ("data",),
    "utils.data._utils.collate": ("data.collate",),
    "utils._foreach_utils": ("tensors.foreach",),
    "utils._pytree": ("func.tree",),
    "utils.dlpack": ("tensors.interchange",),
    "_tensor": ("core.tensor",),
    "func._trees": ("func.tree",),
}

_OPTIMIZERS = """
    ParamsT _capturable_doc _default_to_fused_or_foreach _differentiable_doc
    _disable_dynamo_if_unsupported _dispatch_sqrt _foreach_doc _fused_doc
    _get_capturable_supported_devices _get_scalar_dtype _get_value _maximize_doc _params_doc
    _stack_if_compiling _to_scalar _use_grad_for_differentiable _view_as_real
"""

# Names that are called otherwise here: path and name -> module and name.
NAMES: dict[str, str] = {
    **{f"optim.optimizer.{name}": f"optim.foreign.{name}" for name in _OPTIMIZERS.split()},
    "optim.ZeroRedundancyOptimizer": "distributed.optim.ZeroRedundancyOptimizer",
    "optim.optimizer._params_t": "optim.foreign.ParamsT",
    "optim.optimizer.params_t": "optim.foreign.ParamsT",
    "utils.model_zoo.load_url": "hub.load_state_dict_from_url",
    "nn.modules.conv._ConvNd": "nn.conv.Convolution",
    "nn.modules.conv._ConvTransposeNd": "nn.conv_transpose._ConvTranspose",
    "nn.modules.batchnorm._NormBase": "nn.batchnorm._ChannelNorm",
    "nn.modules.dropout._DropoutNd": "nn.dropout._Dropout",
}


class _Place(ModuleType):
    """A module of PyTorch's that hands on names of modules here."""

    __all__: list[str]

    def __getattr__(self, name: str) -> Any:
        path = self.__name__.removeprefix(f"{_PACKAGE}.")
        known = NAMES.get(f"{path}.{name}")
        if known is not None:
            module, _, known = known.rpartition(".")
            value = getattr(_module(module), known)
        elif name == "__all__":
            value = [n for n in dir(self) if not n.startswith("_")]
        elif name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        else:
            value = self._found(path, name)
        self.__dict__[name] = value
        return value

    def _found(self, path: str, name: str) -> Any:
        for source in PLACES[path]:
            module = _module(source)
            if name in vars(module):
                return vars(module)[name]
        raise AttributeError(instead.text(path, name), name=name, obj=self)

    def __dir__(self) -> list[str]:
        path = self.__name__.removeprefix(f"{_PACKAGE}.")
        own = [n.rpartition(".")[2] for n in NAMES if n.rpartition(".")[0] == path]
        names = {n for source in PLACES[path] for n in dir(_module(source))}
        return sorted({*own, *(n for n in names if not n.startswith("__"))})


def _module(path: str) -> ModuleType:
    return importlib.import_module(f"{_PACKAGE}.{path}")


def missing(path: str) -> Callable[[str], Any]:
    """What a module of the package does when it is asked for a name that it does not have."""
    full = f"{_PACKAGE}.{path}" if path else _PACKAGE

    def __getattr__(name: str) -> Any:
        if f"{path}.{name}" in LATE:
            return _module(f"{path}.{name}")
        known = NAMES.get(f"{path}.{name}")
        if known is None:
            if instead.is_pytorchs(path, name):  # without a name there is no "Did you mean"
                raise AttributeError(instead.text(path, name))
            raise AttributeError(instead.text(path, name), name=name, obj=sys.modules[full])
        module, _, known = known.rpartition(".")
        return getattr(_module(module), known)

    return __getattr__


class _Finder:
    """The last that Python asks for a module: answers for PyTorch's that are not here."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.startswith(f"{_PACKAGE}."):
            place, _, name = fullname.removeprefix(f"{_PACKAGE}.").rpartition(".")
            if instead.is_pytorchs(place, name):
                raise ModuleNotFoundError(instead.text(place, name))


# The modules that say what they lack, and those that PyTorch's other modules stand in.
_ANSWERING = {*LATE, *instead.SPACES, "optim.optimizer"}
_PARENTS = {path.rpartition(".")[0] for path in PLACES}
_PLACED: dict[str, list[str]] = {}  # what those have, loaded with them
for _place in {*PLACES, *_PARENTS}.difference(LATE, [""]):
    _PLACED.setdefault(_place.rpartition(".")[0], []).append(_place)


def _furnish(module: ModuleType, path: str) -> None:
    """Gives a module its places, and lets it say what is not there."""
    if path in _ANSWERING:
        vars(module).setdefault("__getattr__", missing(path))
    for place in _PLACED.get(path, ()):
        setattr(module, place.rpartition(".")[2], _module(place))


def install() -> None:
    """Makes the modules of PLACES; those they stand in get them, now or when they are loaded."""
    for path in PLACES:
        full = f"{_PACKAGE}.{path}"
        if full not in sys.modules:
            made = _Place(full, f"PyTorch's name for the place of what is in {PLACES[path]}.")
            made.__path__ = []
            sys.modules[full] = made
    for path in _ANSWERING | _PARENTS:
        full = f"{_PACKAGE}.{path}" if path else _PACKAGE
        if full in sys.modules:
            _furnish(sys.modules[full], path)
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
        sys.meta_path.insert(0, Finder(_furnish))
