"""Where the device tests begin: a real GPU, or CuPy's stand-in in the simulator; what they share.

    make gpu-check                                    on a machine with a GPU and CuPy
    NUMBA_ENABLE_CUDASIM=1 pytest tests/simulator     anywhere

They are skipped otherwise. What the simulator cannot show is what only a GPU does: compiled
kernels, streams, other libraries' memory (`test_on_a_gpu.py`).
"""

import os
import sys
from pathlib import Path

import pytest

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


def real_cupy():
    """CuPy, where it is installed and sees a GPU; else None."""
    try:
        import cupy

        return cupy if cupy.cuda.runtime.getDeviceCount() else None
    except Exception:  # no CuPy, no driver, no device
        return None


cupy = None if SIMULATED else real_cupy()
if cupy is None and not SIMULATED:
    pytest.skip("needs a GPU, or NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)
pytest.importorskip("numba_cuda")

if SIMULATED:
    import standin_cupy

    cupy = standin_cupy.install()

import tinygrad_opt as tg  # noqa: E402  after the stand-in

CUDA = tg.device("cuda", 0)
sys.path.append(str(Path(__file__).parents[1] / "optim"))  # the table of optimizers


def host(x):
    """The values of a Tensor that must lie on the CUDA device."""
    assert type(x.array) is cupy.ndarray
    assert x.device == CUDA
    return x.detach().cpu().numpy()
