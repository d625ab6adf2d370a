"""Writes tinygrad_opt/porting/pytorch_names.py: PyTorch's public names, by the place they are in.

make golden          (needs the extra `peers`)
"""

from __future__ import annotations

import importlib
import inspect
import sys
import textwrap
import typing
from pathlib import Path

TARGET = Path(__file__).parents[2] / "tinygrad_opt" / "porting" / "pytorch_names.py"
SPACES = (
    "", "Tensor", "amp", "autograd", "autograd.functional", "autograd.graph", "backends", "cuda",
    "distributions", "fft", "func", "jit", "linalg", "nn", "nn.functional", "nn.init", "nn.utils",
    "nn.utils.parametrizations", "nn.utils.parametrize", "nn.utils.prune", "nn.utils.rnn", "hub",
    "onnx", "optim", "optim.lr_scheduler", "optim.swa_utils", "random", "sparse", "special",
    "testing", "utils", "utils.data",
)  # fmt: skip

# Modules of PyTorch that are not attributes before they are imported.
MORE = {
    "": "ao distributed export fft fx hub multiprocessing nested onnx package profiler "
    "quantization",
    "utils": "benchmark bottleneck checkpoint collect_env cpp_extension data dlpack flop_counter "
    "mobile_optimizer model_zoo tensorboard",
    "cuda": "amp graphs memory nccl nvtx profiler random streams",
}  # fmt: skip


def is_pytorchs(name, value):
    """Whether a name is meant for users: no private one, and none that a file only imports."""
    if name.startswith("_") or value is typing or isinstance(value, typing.TypeVar):
        return False
    home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
    if isinstance(home, str) and not home.startswith("torch"):
        return False
    if inspect.ismodule(value) and home == "torch":
        return False
    return home is not None or not callable(value)


def names_of(space):
    """The names of one module or class, sorted."""
    torch = importlib.import_module("torch")
    if space == "Tensor":
        found = {n for n in dir(torch.Tensor) if not n.startswith("_")}
    else:
        module = importlib.import_module(f"torch.{space}" if space else "torch")
        listed = getattr(module, "__all__", ())
        found = {n for n, v in vars(module).items() if is_pytorchs(n, v)} | set(listed)
        found |= {n for n in dir(module) if n in listed}
        if space in ("", "linalg", "fft", "special", "nn.functional"):  # functions of C++
            found |= {n for n, v in vars(module).items()
                      if not n.startswith("_") and inspect.isbuiltin(v)}  # fmt: skip
    return sorted(found - {"TYPE_CHECKING"} | set(MORE.get(space, "").split()))


def text():
    """The file."""
    lines = ['"""PyTorch\'s public names by place, as tests/golden/pytorch_names.py found them."""']
    lines += ["", "NAMES = {"]
    for space in SPACES:
        rows = textwrap.wrap(" ".join(names_of(space)), 92, break_on_hyphens=False)
        lines += [f'    "{space}": """', *(f"        {row}" for row in rows), '    """,']
    return "\n".join([*lines, "}", ""])


def main():
    TARGET.write_text(text())
    print(f"{TARGET.name}: {sum(len(names_of(space)) for space in SPACES)} names")


if __name__ == "__main__":
    sys.exit(main())
