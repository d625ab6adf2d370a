"""The public names of the package, and the page of the reference that each stands on.

A room is a page. A name stands on the first page whose `space` it comes from and whose `files`, if
it says any, hold its source. What a second space offers once more is told there in one line.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import whereabouts

import tinygrad_opt


@dataclass(frozen=True)
class Room:
    """A page of the reference: `spaces` are modules, `files` beginnings of paths in the package."""

    slug: str
    title: str
    about: str
    spaces: str
    files: str = ""
    part: str = "Tools"

    def holds(self, space: str, source: str) -> bool:
        return space in self.spaces.split() and (
            not self.files or source.startswith(tuple(self.files.split()))
        )


@dataclass
class Entry:
    """A public name: `full` is its name from `tinygrad_opt` on, `members` those of a class.

    `home`: the full name under which the same object is told, where that is another one.
    """

    full: str
    value: Any
    room: Room
    home: str = ""
    is_member: bool = False
    members: list[Entry] = field(default_factory=list)

    @property
    def short(self) -> str:
        return self.full.removeprefix("tinygrad_opt.")


NN = "tinygrad_opt.nn"
TENSORS, NETWORKS, TRAINING = "Tensors", "Networks", "Training"
DEVICES = "Devices and processes"

ROOMS = [
    Room("tensor", "Tensor", "Every method and attribute of `Tensor`, and the types beside it.",
         "tinygrad_opt", "core/tensor arrays/size tensors/typed tensors/coordinates", TENSORS),
    Room("creation", "Making tensors", "From numbers, from arrays, and at random.", "tinygrad_opt",
         "tensors/creation tensors/sampling tensors/interchange tensors/rowsparse arrays/random",
         TENSORS),
    Room("inplace", "Functions in place", "Functions that write into their first argument.",
         "tinygrad_opt",
         "tensors/inplace_functions tensors/inplace tensors/writing nn/activation/inplace",
         TENSORS),
    Room("functions", "Functions", "The functions of tensors, by what they do.", "tinygrad_opt",
         "functions/ ops/ core/ func/ nn/ training/graph_picture", TENSORS),
    Room("types", "Types, settings, files",
         "Element types and devices, modes and switches, `save` and `load`, `compile`.",
         "tinygrad_opt", "", TENSORS),
    Room("linalg", "linalg", "Linear algebra.", "tinygrad_opt.linalg", "", TENSORS),
    Room("fft", "fft", "Fourier transforms.", "tinygrad_opt.fft", "", TENSORS),
    Room("special", "special", "Special functions.", "tinygrad_opt.special", "", TENSORS),
    Room("sparse", "sparse", "Tensors that list their entries.", "tinygrad_opt.sparse", "",
         TENSORS),
    Room("autograd", "autograd",
         "Gradients on demand, your own operations, checks, hooks, forward mode.",
         "tinygrad_opt.autograd tinygrad_opt.autograd.functional tinygrad_opt.autograd.graph "
         "tinygrad_opt.autograd.forward_ad tinygrad_opt.utils.checkpoint", "", TENSORS),
    Room("func", "func", "Functions of functions: `grad`, `vmap`, `jacrev` and the like.",
         "tinygrad_opt.func", "", TENSORS),
    Room("losses", "Losses", "The losses as layers.", NN, "nn/losses nn/adaptive", NETWORKS),
    Room("activations", "Activations", "The activations as layers.", NN, "nn/activation",
         NETWORKS),
    Room("convolution", "Convolution and resizing", "Filters over images, and their inverses.", NN,
         "nn/conv nn/unfold nn/resize nn/reshape nn/grid_sample", NETWORKS),
    Room("pooling", "Pooling and padding", "What shrinks an image, and what frames it.", NN,
         "nn/average_pooling nn/max_pooling nn/fractional_pooling nn/padding", NETWORKS),
    Room("normalization", "Normalization and dropout",
         "Layers that act on statistics of a batch, or at random.", NN,
         "nn/batchnorm nn/normalization nn/dropout distributed/batchnorm", NETWORKS),
    Room("sequences", "Recurrent layers and attention",
         "LSTM and its relatives, attention, transformers, embeddings.", NN,
         "nn/rnn nn/cells nn/multihead_attention nn/attention nn/transformer nn/embedding",
         NETWORKS),
    Room("nn", "Modules and containers", "`Module`, and what networks are built of.",
         NN, "", NETWORKS),
    Room("functional", "nn.functional", "Layers and losses as functions.",
         "tinygrad_opt.nn.functional", "", NETWORKS),
    Room("init", "nn.init", "First values of parameters.", "tinygrad_opt.nn.init", "", NETWORKS),
    Room("nn_utils", "nn.utils",
         "Clipping, parametrizations, pruning, packed sequences.",
         "tinygrad_opt.nn.utils tinygrad_opt.nn.utils.parametrize "
         "tinygrad_opt.nn.utils.parametrizations tinygrad_opt.nn.utils.prune "
         "tinygrad_opt.nn.utils.rnn", "", NETWORKS),
    Room("optim", "optim", "The optimizers, and the forms that textbooks print.",
         "tinygrad_opt.optim tinygrad_opt.optim.textbook", "", TRAINING),
    Room("lr_scheduler", "lr_scheduler", "The schedules as classes that drive an optimizer.",
         "tinygrad_opt.optim.lr_scheduler", "", TRAINING),
    Room("schedules", "schedules", "The schedules as pure functions of the step.",
         "tinygrad_opt.optim.schedules", "", TRAINING),
    Room("swa_utils", "swa_utils", "Averages of weights.", "tinygrad_opt.optim.swa_utils", "",
         TRAINING),
    Room("data", "utils.data", "Datasets, samplers, the loader and its workers.",
         "tinygrad_opt.utils.data", "", TRAINING),
    Room("training", "training", "`fit`, callbacks, checkpoints, summaries.",
         "tinygrad_opt.training", "", TRAINING),
    Room("sklearn", "sklearn", "Networks as estimators of scikit-learn.", "tinygrad_opt.sklearn",
         "", TRAINING),
    Room("tensorboard", "tensorboard", "Logs for TensorBoard.", "tinygrad_opt.utils.tensorboard",
         "", TRAINING),
    Room("distributions", "distributions", "Distributions, transforms, divergences.",
         "tinygrad_opt.distributions tinygrad_opt.distributions.constraints", "", TRAINING),
    Room("compile", "compile", "A whole training step as one generated function.",
         "tinygrad_opt.compiled tinygrad_opt.compiled.step"),
    Room("kernels", "kernels", "Update rules, and the kernels that are made of them.",
         "tinygrad_opt.kernels tinygrad_opt.kernels.textbook tinygrad_opt.kernels.bfloat16 "
         "tinygrad_opt.kernels.rule"),
    Room("onnx", "onnx, jit, hub, testing", "Other programs, other files, comparisons.",
         "tinygrad_opt.onnx tinygrad_opt.jit tinygrad_opt.hub tinygrad_opt.testing"),
    Room("distributed", "distributed", "Several processes, several machines.",
         "tinygrad_opt.distributed tinygrad_opt.distributed.optim "
         "tinygrad_opt.distributed.checkpoints tinygrad_opt.multiprocessing", "", DEVICES),
    Room("cuda", "cuda", "The GPU: memory, streams, generators.",
         "tinygrad_opt.cuda tinygrad_opt.cuda.amp", "", DEVICES),
    Room("backends", "amp, accelerator, backends", "PyTorch's switches, and what they do here.",
         "tinygrad_opt.amp tinygrad_opt.accelerator tinygrad_opt.mps tinygrad_opt.backends.cuda "
         "tinygrad_opt.backends.cudnn tinygrad_opt.backends.mps", "", DEVICES),
]  # fmt: skip

# Public classes and functions whose module lists no `__all__` for users.
ALSO = {"tinygrad_opt.compiled.step": ["Compiled"], "tinygrad_opt.kernels.rule": ["UpdateRule"]}


def names_in(space: ModuleType) -> dict[str, Any]:
    """What a module offers, with what it loads when somebody asks for it."""
    return {name: getattr(space, name) for name in dir(space)}


def is_ours(value: Any) -> bool:
    return (getattr(value, "__module__", None) or "").startswith("tinygrad_opt")


def exported(space: ModuleType) -> list[str]:
    """The names that a module offers."""
    also = ALSO.get(space.__name__)
    names = also or getattr(space, "__all__", None) or dir(space)
    return sorted((n for n in names if not n.startswith("_")), key=lambda n: (n.lower(), n))


@functools.cache
def members_of(cls: type) -> list[tuple[str, Any]]:
    """The methods and properties that a class and its bases in this package define."""
    found = []
    for name in dir(cls):
        owner = next((c for c in cls.__mro__ if name in vars(c)), None)
        if name.startswith("_") or owner is None or not is_ours(owner):
            continue
        value = vars(owner)[name]
        value = getattr(value, "__func__", value)
        if inspect.isfunction(value) or isinstance(value, property):
            found.append((name, value))
    return found


def entries() -> list[Entry]:
    """All public names, in the order of ROOMS; classes with their members."""
    found: dict[str, Entry] = {}
    for path in dict.fromkeys(space for room in ROOMS for space in room.spaces.split()):
        space = importlib.import_module(path)
        for name in exported(space):
            value = getattr(space, name)
            if inspect.ismodule(value) or not is_ours(value) or not callable(value):
                continue
            source = whereabouts.file_in_package(value)
            room = next(room for room in ROOMS if room.holds(path, source))
            found[f"{path}.{name}"] = Entry(f"{path}.{name}", value, room)
    order = {room.slug: place for place, room in enumerate(ROOMS)}
    listed = sorted(found.values(), key=lambda entry: order[entry.room.slug])
    _find_homes(listed)
    return listed


def _find_homes(listed: list[Entry]) -> None:
    """Let one place tell each object: the first name, and of methods the most basic class."""
    homes: dict[Any, str] = {}
    for entry in listed:
        entry.home = homes.setdefault(id(entry.value), entry.full)
    classes = {id(e.value): e for e in listed if inspect.isclass(e.value) and e.home == e.full}
    for entry in listed:
        if not inspect.isclass(entry.value):
            continue
        for name, value in members_of(entry.value):
            bases = [classes[id(c)] for c in reversed(entry.value.__mro__) if id(c) in classes]
            owner = next(b for b in bases if dict(members_of(b.value)).get(name) is value)
            full, home = f"{entry.full}.{name}", f"{owner.full}.{name}"
            home = homes.setdefault((id(value), name), home)
            entry.members.append(Entry(full, value, entry.room, home, is_member=True))


def constants() -> dict[str, Any]:
    """The public values of the package that are neither functions, classes nor modules."""
    return {
        name: value
        for name, value in names_in(tinygrad_opt).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and not (callable(value) and is_ours(value))
    }
