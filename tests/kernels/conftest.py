"""One cache folder for the run, so that tests neither use nor fill the user's own."""

import pytest

from tinygrad_opt.kernels import pool
from tinygrad_opt.kernels.compiler import cache


@pytest.fixture(autouse=True, scope="session")
def _cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.fixture
def _whole_pool():
    """The test may resize the pool; then it is what it was."""
    before = pool._limit
    yield
    pool.resize(before)


@pytest.fixture(autouse=True)
def _warn_again(monkeypatch):
    monkeypatch.setattr(cache, "_warned", False)
