"""The convolution kernels: the layout of images, and what the compiler makes of them.

Values are tested in tests/nn/test_conv.py and by the table of operations.
"""

from __future__ import annotations

import platform
import re

import pytest

from tinygrad_opt.kernels.compiler import cache
from tinygrad_opt.kernels.fused import convolution


def test_plan_of_a_strided_image():
    # 5 cells, one of padding on both sides, stride 2: phases [. 2 4] and [1 3 5], one block each
    at = convolution.plan(1, 2, (1, 1, 5), (0, 0, 1), (1, 1, 2), ((0,), (0,), (0, 1, 2)), (1, 1, 3))
    assert at.layout.tolist() == [1, 1, 2, 0, 0, 1, 1, 1, 3, 1, 4]
    # Tap 0 sees phase 0 from its start, tap 1 phase 1, tap 2 phase 0 one cell on.
    assert at.offset.tolist() == [0, 4, 1, 8, 12, 9]
    assert at.length == convolution.VECTOR
    assert at.cells == 2 * 2 * 4 + convolution.VECTOR
    assert at.packs == 1


def test_rows_and_samples_share_their_padding():
    at = convolution.plan(2, 1, (1, 3, 3), (0, 1, 1), (1, 1, 1), ((0,), (0, 2), (0, 2)), (1, 3, 3))
    assert at.offset.tolist() == [0, 2, 8, 10]  # in rows of 4 cells: 3 and one zero
    assert at.layout.tolist()[-2:] == [2, 2 * 16 + 10]
    assert at.length == 32  # 16 + 2 * 4 + 3 = 27 positions, rounded up


def test_large_images_make_a_pack_each():
    taps = ((0,), (0, 1, 2), (0, 1, 2))
    at = convolution.plan(5, 1, (1, 28, 28), (0, 1, 1), (1, 1, 1), taps, (1, 28, 28))
    assert (at.packs, at.layout[9]) == (5, 1)
    at = convolution.plan(64, 1, (1, 8, 8), (0, 1, 1), (1, 1, 1), taps, (1, 8, 8))
    assert (at.packs, at.layout[9]) == (11, 6)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
def test_single_precision_stays_single_and_packed(monkeypatch):
    text = convolution.text("weight_slopes", "float32", False, False)
    kernel = cache.compile_text("weight_slopes", text)
    (assembly,) = kernel.inspect_asm().values()
    assert re.search(r"v?f?n?m?(add|mul)\w*ps", assembly)
    assert not re.search(r"\bv?(mul|add|fmadd\d+)(pd|sd)\b", assembly)


def test_text_is_formatted_for_a_reader():
    for name in ("correlate", "weight_slopes"):
        text = convolution.text(name, "float64", True, True)
        assert text.startswith("# Written by tinygrad_opt.kernels.fused.convolution.")
        assert "{" not in text.replace("fastmath={", "")
        assert "prange(" in text
        compile(text, name, "exec")
