"""Scripts' first lines run with their imports changed, and with PyTorch as they are."""

from __future__ import annotations

import openings
import pytest
from conftest import ported

NOT_PYTORCH = {"JIT"}  # which needs the source of what it compiles in a file
NAMES = [name for name in vars(openings) if name.isupper()]


@pytest.mark.parametrize("name", NAMES)
def test_opening(name):
    exec(compile(ported(getattr(openings, name)), name, "exec"), {"__name__": name})


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_PYTORCH])
def test_opening_is_pytorchs(name):
    pytest.importorskip("torch")
    exec(compile(getattr(openings, name), name, "exec"), {"__name__": name})
