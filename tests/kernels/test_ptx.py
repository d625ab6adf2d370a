"""PTX of every rule for three generations of GPU; needs numba-cuda, but no GPU."""

import os
import re
import sys

import pytest
from rules import RULES

from tinygrad_opt import kernels

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
needs_compiler = pytest.mark.skipif(
    os.environ.get("NUMBA_ENABLE_CUDASIM") == "1", reason="the simulator has no compiler"
)


@needs_compiler
@pytest.mark.parametrize("cc", [(8, 0), (9, 0), (10, 0)])
@every_rule
def test_float32_ptx_has_no_double_arithmetic(rule, cc):
    pytest.importorskip("numba_cuda")
    text = rule.ptx("float32", cc)
    assert f".target sm_{cc[0]}{cc[1]}" in text
    assert ".f64" not in text
    accesses = re.findall(r"\b(ld|st)\.global\.[bf]32\b", text)
    loads, stores = 2 + len(rule.states), 1 + len(rule.states)
    assert accesses.count("ld") == (4 + 1) * loads  # of a tile, and of the rest
    assert accesses.count("st") == (4 + 1) * stores
    assert ("ld," * 4 * loads + "st,").rstrip(",") in ",".join(accesses)  # all loads come first
    # A signed index would be tested for a negative value at every access.
    assert not re.search(r"\bshr\.s64\b", text)


@needs_compiler
def test_float64_ptx():
    pytest.importorskip("numba_cuda")
    assert "sqrt.rn.f64" in kernels.adam.ptx("float64")


def test_without_numba_cuda_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "tinygrad_opt.kernels.compiler.cuda", raising=False)
    monkeypatch.delattr(kernels.compiler, "cuda", raising=False)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_opt\[cuda\]"'):
        kernels.adam.ptx()


@needs_compiler
@pytest.mark.parametrize("rule", [kernels.adam, kernels.adan], ids=lambda rule: rule.name)
def test_ptx_with_states_of_16_bits(rule):
    pytest.importorskip("numba_cuda")
    text = rule.ptx(narrow=True)
    assert ".f64" not in text
    assert len(re.findall(r"\bld\.global\.[bu]16\b", text)) == 5 * len(rule.states)
    assert len(re.findall(r"\bst\.global\.[bu]16\b", text)) == 5 * len(rule.states)
