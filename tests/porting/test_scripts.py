"""Twelve scripts in twelve idioms: with the imports changed they give PyTorch's numbers."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from conftest import ported

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))
GOLDEN_FILE = Path(__file__).parents[1] / "golden" / "scripts.json"
GOLDEN = json.loads(GOLDEN_FILE.read_text()) if GOLDEN_FILE.exists() else {}


def run(path, change):
    """What `main` returns; weights are NumPy's."""
    source = path.read_text()
    script = types.ModuleType("script")
    sys.modules["script"] = script  # where dataclasses look
    try:
        exec(compile(ported(source) if change else source, str(path), "exec"), vars(script))
    finally:
        del sys.modules["script"]
    torch = script.torch

    def fill(model, rng, scale=0.3):
        with torch.no_grad():
            for p in model.parameters():
                values = rng.standard_normal(tuple(p.shape)) * scale
                p.copy_(torch.tensor(values).to(p.dtype))
        return model

    return script.main(fill)


def test_there_are_twelve():
    assert len(SCRIPTS) == len(GOLDEN) == 12


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_script_gives_pytorchs_numbers(path):
    values = run(path, change=True)
    np.testing.assert_allclose(values, GOLDEN[path.stem], rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_only_the_imports_change(path):
    before, after = path.read_text().split("\n"), ported(path.read_text()).split("\n")
    changed = [b for b, a in zip(before, after, strict=True) if b != a]
    assert changed
    assert all(line.lstrip().startswith(("import ", "from ")) for line in changed)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_the_golden_numbers_are_pytorchs(torch, path):
    np.testing.assert_allclose(run(path, change=False), GOLDEN[path.stem], rtol=1e-3, atol=1e-4)
