"""PTX of every rule for three generations of GPU; needs numba-cuda, but no GPU."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from calling_rules import dithered
from rules import RULES

from tinygrad_opt import kernels
from tinygrad_opt.kernels.fused import on_device

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
needs_compiler = pytest.mark.usefixtures("compiler")
GPUS = [(8, 0), (9, 0), (10, 0)]


def ptxas():
    """NVIDIA's assembler, of a toolkit or of a wheel; else the test is skipped."""
    wheels = (Path(p) / "nvidia" for p in sys.path if p)
    found = [str(f) for w in wheels for f in sorted(w.glob("*/bin/ptxas"))]
    return shutil.which("ptxas") or next(iter(found), None) or pytest.skip("there is no ptxas")


@pytest.fixture(autouse=True, scope="module")
def front_end():
    """numba-cuda's typing and lowering, once for all GPUs: it makes the same LLVM text for each.

    It takes nine tenths of the time of a compilation. The fixture is what it was before.
    """
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" or not importlib.util.find_spec("numba_cuda"):
        yield None
        return
    from numba.cuda import compiler

    whole, made = compiler._compile_pyfunc_with_fixup, {}

    def once(function, types, cc, **settings):
        key = function, types, repr(settings)
        if key not in made:
            made[key] = whole(function, types, cc=cc, **settings)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "_compile_pyfunc_with_fixup", once)
        yield whole


def test_without_parts_of_cuda_the_error_names_the_extra(monkeypatch):
    pytest.importorskip("numba_cuda")
    from cuda.pathfinder import DynamicLibNotFoundError

    def absent(*_, **__):
        raise DynamicLibNotFoundError("libnvvm.so")

    from numba import cuda

    monkeypatch.setattr(cuda, "compile_ptx", absent)
    with pytest.raises(ImportError, match=r'parts of CUDA: pip install "tinygrad_opt\[ptx\]"'):
        kernels.sgd.ptx()


@needs_compiler
def test_the_front_end_makes_the_same_text_for_all_gpus(front_end, monkeypatch):
    from numba.cuda import compiler

    bodies = []

    def kept(*arguments, **settings):
        made = front_end(*arguments, **settings)
        (text,) = made[0].llvm_strs
        numbered = re.search(r'define [^@]*@"([^"]+)"', text)[1]  # by how many were made before
        bodies.append(text[text.index("{") :].replace(numbered, "").replace(numbered[2:], ""))
        return made

    monkeypatch.setattr(compiler, "_compile_pyfunc_with_fixup", kept)
    for cc in GPUS:
        kernels.adam.ptx("float32", cc)
    assert len(bodies) == 3
    assert len(set(bodies)) == 1


@needs_compiler
@pytest.mark.thorough
@pytest.mark.parametrize("cc", GPUS)
@every_rule
def test_float32_ptx_has_no_double_arithmetic(rule, cc):
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
    assert "sqrt.rn.f64" in kernels.adam.ptx("float64")


@needs_compiler
@pytest.mark.thorough
@pytest.mark.parametrize("name", [*on_device.NAMES, "gelu_value", "gelu_slope", "softplus_slope"])
def test_kernels_of_layers(name):
    """They compile for every GPU, with nothing of float64, and keep all they need in registers."""
    from numba import cuda

    from tinygrad_opt.kernels.compiler import cuda as adapter

    kernel, letters, kinds = on_device.kernel(name, np.dtype("float32"))
    types = (*(adapter._TYPES[c][::1] for c in letters), *(adapter._TYPES[c] for c in kinds))
    for cc in GPUS:
        text, _ = cuda.compile_ptx(kernel.py_func, types, cc=cc)
        assert f".target sm_{cc[0]}{cc[1]}" in text
        assert ".f64" not in text
        assert ".local" not in text


def test_without_numba_cuda_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "tinygrad_opt.kernels.compiler.cuda", raising=False)
    monkeypatch.delattr(kernels.compiler, "cuda", raising=False)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_opt\[cuda\]"'):
        kernels.adam.ptx()


@needs_compiler
@pytest.mark.parametrize("rule", [kernels.adam, kernels.adan], ids=lambda rule: rule.name)
def test_ptx_with_states_of_16_bits(rule):
    text = rule.ptx(narrow=True)
    assert ".f64" not in text
    assert len(re.findall(r"\bld\.global\.[bu]16\b", text)) == 5 * len(rule.states)
    assert len(re.findall(r"\bst\.global\.[bu]16\b", text)) == 5 * len(rule.states)


@needs_compiler
@pytest.mark.parametrize("rule", [kernels.sgd, kernels.adan], ids=lambda rule: rule.name)
@pytest.mark.parametrize("cc", GPUS)
def test_coefficients_in_memory_are_read_once(rule, cc):
    text = rule.ptx("float32", cc, graph=True)
    assert ".f64" not in text
    accesses = re.findall(r"\b(ld|st)\.global\.[bf]32\b", text)
    loads, stores = 2 + len(rule.states), 1 + len(rule.states)
    assert accesses.count("ld") == 5 * loads + len(rule.coefficients)
    assert accesses.count("st") == 5 * stores
    first = text.index("st.global")
    assert text[:first].count("ld.global") >= len(rule.coefficients)
    assert not re.search(r"\bshr\.s64\b", text)


@needs_compiler
def test_coefficients_in_memory_beside_keys_and_seeds():
    assert ".f64" not in kernels.adam.ptx(narrow=True, graph=True)
    assert len(re.findall(r"\bld\.global\.[bu]64\b", dithered.ptx(graph=True))) == 4


@needs_compiler
@pytest.mark.parametrize("cc", GPUS)
def test_registers_without_spills(cc, tmp_path):
    """By NVIDIA's assembler, where it is installed: 2,048 threads a multiprocessor need 32."""
    assembler = ptxas()
    for rule in (kernels.sgd, kernels.adam):
        path = tmp_path / f"{rule.name}.ptx"
        path.write_text(rule.ptx("float32", cc, graph=True))
        command = [
            assembler,
            "-v",
            f"-arch=sm_{cc[0]}{cc[1]}",
            str(path),
            "-o",
            str(tmp_path / "o"),
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        assert "0 bytes spill stores, 0 bytes spill loads" in said
        assert int(re.search(r"Used (\d+) registers", said)[1]) <= 64
