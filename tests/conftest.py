"""What every test starts from: the same seed, float32 by default, recording on."""

import functools
import gc
import hashlib
import importlib.util
import os
import re
import shutil
import warnings
from collections import Counter
from pathlib import Path

import pytest

import tinygrad_opt

ROOT = Path(__file__).parents[1]


def pytest_configure():
    """Let all processes compile into one folder, which neither is nor fills the user's own.

    The next run starts with what this one compiled, unless anything in kernels/ has changed.
    """
    files = sorted((ROOT / "kernels").rglob("*.py"))
    made_from = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:20]
    folder = ROOT / ".pytest_cache" / "kernels" / made_from
    if os.environ.setdefault("TINYGRAD_OPT_CACHE_DIR", str(folder)) == str(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Find the tests without searching for garbage, again and again among all that was found."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


# What the file of a test of that marker says.
SAYING = {"thorough": r"\.thorough\b|\bsampled_rows\b", "peers": r"\.peers\b|\bboth_refuse\("}


@functools.cache
def says(file, marker):
    return re.search(SAYING[marker], file.read_text()) is not None


def pytest_ignore_collect(collection_path, config):
    """With `-m thorough` or `-m peers`, import no file that has none of these."""
    asked = re.fullmatch(r"(thorough|peers)( and not \w+)?", config.option.markexpr)
    if asked and collection_path.match("test_*.py") and not says(collection_path, asked[1]):
        return True
    return None


def pytest_collection_modifyitems(items):
    """Refuse names that change from run to run; skip PyTorch's part where it is not installed."""
    changing = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if changing:  # each process of `pytest -n` must find the same tests
        raise pytest.UsageError(f"give ids to parameters that have an address: {changing[:3]}")
    marked = {name: [item for item in items if item.get_closest_marker(name)] for name in SAYING}
    unsaid = [i.nodeid for name in marked for i in marked[name] if not says(i.path, name)]
    if unsaid:  # see pytest_ignore_collect
        raise pytest.UsageError(f"the files of these tests do not say their marker: {unsaid[:3]}")
    if importlib.util.find_spec("torch") is None:
        skip = pytest.mark.skip(reason="compares with PyTorch, which make test-peers installs")
        for item in marked["peers"]:
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter):
    """Close with one line for each reason to skip; pytest's own has one for each place."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED [{count}] {reason.removeprefix('Skipped: ')}")


@pytest.fixture(autouse=True, scope="module")
def _short_searches():
    """Leave what earlier files made out of searches for garbage: tests and kernels are millions."""
    gc.collect()
    gc.freeze()


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
