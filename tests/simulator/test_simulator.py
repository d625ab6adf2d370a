"""CUDA kernels of all rules in numba-cuda's simulator against plain Python.

Run with NUMBA_ENABLE_CUDASIM=1 pytest tests/simulator; it is skipped otherwise, because the
simulator must be chosen before Numba is imported.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("needs NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)
pytest.importorskip("numba_cuda")

sys.path.insert(0, str(Path(__file__).parents[1] / "kernels"))
from calling_rules import CLOSE, EXACT, seeds, vectors
from local_rules import LOCAL_RULES
from local_rules import coefficients as local_coefficients
from numba import cuda
from rules import RULES, arrays, coefficients

from tinygrad_opt import kernels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_kernel_equals_plain_python(rule, dtype):
    plain = arrays(rule, dtype, 13)  # more than the threads of the launch: the loop strides
    device = [cuda.to_device(a) for a in plain]
    for _ in range(2):
        rule.launch(device, coefficients(rule))
        rule.reference(plain, coefficients(rule))
    for ours, oracle in zip(device, plain, strict=True):
        np.testing.assert_array_equal(ours.copy_to_host(), oracle)


@pytest.mark.parametrize("rule", [*EXACT, *CLOSE], ids=lambda rule: rule.name)
def test_helpers_rests_and_draws_are_plain_pythons(rule):
    plain, given = vectors(rule, "float32", 3), {**EXACT, **CLOSE}[rule]
    usual = (np.abs(plain[0]) < 1e9) & (np.abs(plain[1]) < 1e9) & (np.abs(plain[1]) > 1e-9)
    plain = [a[usual] for a in plain]  # of others the simulator's `math` raises, as Python's does
    device = [cuda.to_device(a) for a in plain]
    rule.launch(device, given, **seeds(rule))
    rule.reference(plain, given, **seeds(rule))
    for ours, oracle in zip(device, plain, strict=True):
        scale = 0 if rule in EXACT else 1e-6
        np.testing.assert_allclose(ours.copy_to_host(), oracle, rtol=scale, atol=scale)


@pytest.mark.parametrize("size", [*range(1, 40), 63, 64, 65, 255, 1030])
def test_every_element_is_stepped_once(size):
    g = np.arange(size, dtype=np.float32) % 7 + 1
    p, gradient = cuda.to_device(np.zeros(size, np.float32)), cuda.to_device(g)
    kernels.sgd.launch((p, gradient), (1.0, 0.0, 0.25))
    np.testing.assert_array_equal(p.copy_to_host(), -0.25 * g)


def test_empty_arrays():
    kernels.sgd.launch([cuda.to_device(np.zeros(0, np.float32))] * 2, (1.0, 0.0, 0.1))


def test_launch_checks_its_arguments():
    p = cuda.to_device(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="one size, but p has 4 elements and g has 3"):
        kernels.sgd.launch((p, cuda.to_device(np.zeros(3, np.float32))), (1.0, 0.0, 0.1))
    with pytest.raises(TypeError, match="sgd: p and g are on different devices"):
        kernels.sgd.launch((p, np.zeros(4, np.float32)), (1.0, 0.0, 0.1))
    with pytest.raises(TypeError, match="sgd: p and g are on different devices"):
        kernels.sgd.launch((np.zeros(4, np.float32), p), (1.0, 0.0, 0.1))


def test_ptx_needs_the_compiler():
    with pytest.raises(RuntimeError, match="unset NUMBA_ENABLE_CUDASIM"):
        kernels.sgd.ptx()


@pytest.mark.parametrize("rule", LOCAL_RULES.values(), ids=LOCAL_RULES)
def test_what_a_rule_assigns_ends_with_its_element(rule):
    plain = arrays(rule, "float32", 13)
    device = [cuda.to_device(a) for a in plain]
    rule.launch(device, local_coefficients(rule))
    rule.reference(plain, local_coefficients(rule))
    for ours, oracle in zip(device, plain, strict=True):
        np.testing.assert_array_equal(ours.copy_to_host(), oracle)
