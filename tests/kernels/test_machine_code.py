"""What LLVM makes of kernels: vectors that stand side by side are read and written as such."""

import copy
import re

import numpy as np
import pytest

from tinygrad_opt.kernels import blas, micro
from tinygrad_opt.kernels.compiler import cache, lanes
from tinygrad_opt.kernels.fused import (
    attention,
    channel_norms,
    elementwise,
    passage_cells,
    products,
    row_norms,
    softmax,
    softmax_lanes,
)
from tinygrad_opt.kernels.micro import machine

MODULES = [
    (row_norms, "row_norm"), (row_norms, "row_norm_back"), (channel_norms, "normalize"),
    (channel_norms, "column_normalize"), (attention, "attention"),
]  # fmt: skip


def code_of(kernel):
    (compiled,) = kernel.overloads.values()
    return compiled.library.get_asm_str()


@pytest.fixture
def _in_memory(monkeypatch):
    """Kernels are compiled anew: Numba shows no code of those that it keeps on disk."""
    for module in (row_norms, channel_norms, attention):
        kernels = copy.copy(module._kernels)
        kernels.clear()
        monkeypatch.setattr(module, "_kernels", kernels)
    monkeypatch.setattr(
        cache, "load", lambda name, render, compiler="": cache.compile_text(name, render(False))
    )


@pytest.mark.thorough
@pytest.mark.usefixtures("_in_memory")
@pytest.mark.parametrize(("module", "name"), MODULES, ids=[name for _, name in MODULES])
def test_rows_are_not_gathered_number_by_number(module, name):
    if not blas.bind("product", "s"):
        pytest.skip("NumPy brought no OpenBLAS")
    if module is attention:
        kernels = [attention._kernel(name, np.dtype("f"), keys) for keys in (64, 200)]
    else:
        kernels = [module._kernels[name, "f"]]
    for code in map(code_of, kernels):
        assert re.search(r"\bv?(add|mul|fmadd\w*)ps\b|fmla|fadd", code)  # and are vectors
        assert not re.findall(r"v(?:gather|scatter)\w+", code)


@pytest.mark.thorough
@pytest.mark.usefixtures("_in_memory")
def test_exponentials_use_whole_registers():
    code = code_of(elementwise.loop("gelu", "value", "float32").load("float32", large=False))
    assert ("zmm" in code) == lanes.pays()


@pytest.mark.thorough
def test_sums_of_products_stay_in_registers():
    """Of the inner loop of a product, all but few instructions are those that cannot be spared."""
    if micro.registers().width < 64:
        pytest.skip("products are OpenBLAS's on this processor")
    kind = micro.kind_of("f")
    with machine.Space() as space:
        loops = machine.optimised(space, "product", products.product, kind, 13)
        code = space.target.emit_assembly(loops)
    blocks = re.split(r"^\S+:", code, flags=re.MULTILINE)
    inner = max(blocks, key=lambda block: block.count("vfmadd"))
    lines = [line.strip() for line in inner.splitlines()]
    instructions = [line for line in lines if re.match(r"[a-z]", line)]
    rows = kind.tallest
    assert sum("vfmadd" in line for line in instructions) == 2 * rows
    assert sum("vbroadcast" in line for line in instructions) == rows
    assert len(instructions) <= 3 * rows + 12


@pytest.mark.parametrize(
    ("module", "name", "count"),
    [
        (passage_cells, "lstm", len(passage_cells.MATRICES["lstm"]) + 3),
        (passage_cells, "gru_back", len(passage_cells.MATRICES["gru_back"]) + 3),
        (softmax_lanes, "softmax_rows", 4),
        (softmax_lanes, "log_softmax_across", 7),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_loops_over_numbers_become_loops_over_vectors(module, name, count):
    kind = micro.kind_of("f")
    with machine.Space() as space:
        loops = machine.optimised(space, name, getattr(module, name), kind, count)
        products = re.findall(r"fmul .*?(<\d+ x )?float", str(loops))
    assert sum(map(bool, products)) > len(products) / 3  # what is left is done number by number


@pytest.mark.parametrize("form", ["", "odd"])
def test_what_is_left_of_odd_rows_is_masked(form):
    """And so is not done number by number."""
    loop = softmax._loop("softmax", form)
    kernel = cache.compile_text(f"{loop.name}_serial", loop.text("float32", False, False))
    (compiled,) = kernel.overloads.values()
    if form and not lanes.pays():
        pytest.skip("LLVM masks where the processor does")
    assert ("llvm.masked.load" in compiled.library.get_llvm_str()) == bool(form)
