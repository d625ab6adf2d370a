"""What the tests of this folder share: running a script of PyTorch's with its imports changed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import tinygrad_opt as tg

sys.path.insert(0, str(Path(__file__).parent))


def ported(source: str) -> str:
    """A script with `torch` in its import lines changed to this package, and nothing else."""
    source = re.sub(r"^(\s*)from torch\b", r"\1from tinygrad_opt", source, flags=re.M)
    source = re.sub(r"^(\s*)import torch\.([\w.]+) as ", r"\1import tinygrad_opt.\2 as ", source,
                    flags=re.M)  # fmt: skip
    source = re.sub(r"^(\s*)import torch\.([\w.]+)$", r"\1import tinygrad_opt.\2", source,
                    flags=re.M)  # fmt: skip
    return re.sub(r"^(\s*)import torch$", r"\1import tinygrad_opt as torch", source, flags=re.M)


@pytest.fixture(autouse=True)
def _as_it_was():
    """What scripts set for the whole process is set back."""
    threads, enabled = tg.get_num_threads(), tg.is_grad_enabled()
    yield
    tg.set_printoptions(profile="default")
    tg.set_default_dtype(tg.float32)
    tg.set_default_device("cpu")
    tg.use_deterministic_algorithms(False)
    tg.set_float32_matmul_precision("highest")
    tg.set_grad_enabled(enabled)
    tg.set_num_threads(threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_printoptions(profile="default")
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision("highest")
