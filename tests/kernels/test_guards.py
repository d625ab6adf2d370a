"""The machine code: no double in a float32 kernel, and packed SIMD in all of them."""

import platform
import re

import pytest
from rules import RULES

from tinygrad_opt.kernels import update_rule

X86 = platform.machine().lower() in ("x86_64", "amd64")
ARM = platform.machine().lower() in ("arm64", "aarch64")


@update_rule
def six_arrays(p, g, m, v, w, s, lr, omb):
    """More arrays than LLVM compares for overlap by default: it must still use SIMD."""
    m = m + omb * (g - m)
    v = v + omb * (g * g - v)
    w = w if v <= w else v
    s = s + 0.5 * (m - s)
    p = p - lr * m / (w**0.5 + abs(s) + 1.0)
    return p, m, v, w, s


every_rule = pytest.mark.parametrize(
    "rule", [*RULES.values(), six_arrays], ids=[*RULES, "six_arrays"]
)


@pytest.mark.thorough
@every_rule
def test_float32_kernel_holds_no_double(rule):
    loop = next(f for f in rule.llvm("float32").split("\ndefine ")[1:] if "@_ZN" in f[:200])
    assert "fmul <" in loop
    assert not re.search(r"\bdouble\b|\bfpext\b", loop)


@pytest.mark.thorough
@pytest.mark.versions
@every_rule
def test_float32_assembly_is_packed_single(rule):
    text = rule.asm("float32")
    if X86:
        assert re.search(r"\bv?mulps\b", text)
        assert not re.search(r"\bv?(add|sub|mul|div|sqrt|fmadd\w*)[sp]d\b", text)
        assert not re.search(r"\bv?cvtss2sd\b", text)
    elif ARM:
        assert re.search(r"\bfmul\b.*\.4s", text)
        assert not re.search(r"\bf(add|sub|mul|div|sqrt)\b.*(\.2d|\bd\d)", text)
    else:
        pytest.skip(f"no patterns for {platform.machine()}")


@pytest.mark.thorough
@every_rule
def test_float64_assembly_is_packed_double(rule):
    text = rule.asm("float64")
    if X86:
        assert re.search(r"\bv?mulpd\b", text)
    elif ARM:
        assert re.search(r"\bfmul\b.*\.2d", text)
    else:
        pytest.skip(f"no patterns for {platform.machine()}")


@pytest.mark.parametrize("target", ["cpu", "parallel", "cuda"])
@every_rule
def test_source_is_readable_python(rule, target):
    text = rule.source(target)
    compile(text, "kernel", "exec")
    assert text.startswith("# Written by tinygrad_opt.kernels from the update rule ")
    assert "p = p_array[i]" in text
