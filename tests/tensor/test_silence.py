"""Infinities and NaN come without warnings from here, and with NumPy's from a user's own arrays."""

import subprocess
import sys

SCRIPT = """
import numpy as np
import tinygrad_opt as tg

x = tg.tensor([0.0, -1.0], requires_grad=True)
for y in (x.log(), 1 / x, x.sqrt(), (x * 1e38).exp() * 1e38, x / 0, x.lgamma(), x.fmod(0.0)):
    y.sum().backward()
    y.log_()
tg.tensor([float("nan")]).long()
print("now NumPy")
np.log(np.zeros(1))
"""


def test_only_numpys_own_warnings_are_heard():
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout == "now NumPy\n"
    assert done.stderr.count("Warning") == 1
    assert "<string>:11: RuntimeWarning: divide by zero encountered in log" in done.stderr
