"""What every test starts from: the same seed, float32 by default, recording on."""

import importlib.util
import warnings

import pytest

import tinygrad_opt


def pytest_collection_modifyitems(items):
    """Skip the comparisons with PyTorch where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        skip = pytest.mark.skip(reason="PyTorch is not installed (extra: peers)")
        for item in items:
            if item.get_closest_marker("peers"):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _same_start():
    tinygrad_opt.manual_seed(0)
    yield
    tinygrad_opt.set_default_dtype(tinygrad_opt.float32)
    recording = tinygrad_opt.is_grad_enabled()
    tinygrad_opt.set_grad_enabled(True)
    assert recording, "the test left recording switched off"


@pytest.fixture(scope="session")
def torch():
    """PyTorch, for tests marked `peers`; its own warnings at import are not ours to fail on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch")
