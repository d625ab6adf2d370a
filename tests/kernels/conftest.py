"""What tests of kernels change and put back: the pool's size, and that its warning was given."""

import pytest

from tinygrad_opt.kernels import pool
from tinygrad_opt.kernels.compiler import cache


@pytest.fixture
def _whole_pool():
    """The test may resize the pool; then it is what it was."""
    before = pool._limit
    yield
    pool.resize(before)


@pytest.fixture(autouse=True)
def _warn_again(monkeypatch):
    monkeypatch.setattr(cache, "_warned", False)
