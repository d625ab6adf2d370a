"""What tests of kernels change and put back: the pool's size, and that its warning was given."""

import os

import pytest

from tinygrad_opt.kernels import pool
from tinygrad_opt.kernels.compiler import cache
from tinygrad_opt.kernels.pool import ahead


@pytest.fixture
def _whole_pool():
    """The test may resize the pool; then it is what it was."""
    before = pool._limit
    yield
    pool.resize(before)


@pytest.fixture(autouse=True)
def _warn_again(monkeypatch):
    monkeypatch.setattr(cache, "_warned", False)


@pytest.fixture(autouse=True)
def _kernels_at_once(monkeypatch):
    """Not NumPy until they are made."""
    monkeypatch.setattr(ahead, "threads", lambda: 1)


@pytest.fixture(scope="module")
def compiler():
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        pytest.skip("the simulator has no compiler")
    pytest.importorskip("numba_cuda")
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    try:
        for part in ("nvvm", "nvrtc"):
            load_nvidia_dynamic_lib(part)
    except DynamicLibNotFoundError:
        pytest.skip("PTX needs parts of CUDA, which make test-kernels installs")
