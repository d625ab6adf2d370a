"""What every test starts from: the same seed, float32 by default, recording on."""

import importlib.util
import warnings
from collections import Counter

import pytest

import tinygrad_opt


def pytest_collection_modifyitems(items):
    """Refuse names that change from run to run; skip PyTorch's part where it is not installed."""
    changing = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if changing:  # each process of `pytest -n` must find the same tests
        raise pytest.UsageError(f"give ids to parameters that have an address: {changing[:3]}")
    if importlib.util.find_spec("torch") is None:
        skip = pytest.mark.skip(reason="compares with PyTorch, which make test-peers installs")
        for item in items:
            if item.get_closest_marker("peers"):
                item.add_marker(skip)


def pytest_terminal_summary(terminalreporter):
    """Close with one line for each reason to skip; pytest's own has one for each place."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED [{count}] {reason.removeprefix('Skipped: ')}")


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
