"""Where the device tests begin: CuPy's stand-in in its place, and what they share.

Run with NUMBA_ENABLE_CUDASIM=1 pytest tests/simulator; what imports this is skipped otherwise.
What these tests cannot show is what only a GPU does: compiled kernels, streams, several devices.
"""

import os
import sys
from pathlib import Path

import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("needs NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)
pytest.importorskip("numba_cuda")

import standin_cupy

import tinygrad_opt as tg

cupy = standin_cupy.install()
CUDA = tg.device("cuda", 0)
sys.path.append(str(Path(__file__).parents[1] / "optim"))  # the table of optimizers


def host(x):
    """The values of a Tensor that must lie on the CUDA device."""
    assert type(x.array) is cupy.ndarray
    assert x.device == CUDA
    return x.detach().cpu().numpy()
