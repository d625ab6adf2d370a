"""`python -m tinygrad_opt` names what a bug report needs."""

import os
import re
import subprocess
import sys

import numpy as np

import tinygrad_opt


def test_report_for_bugs(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "tinygrad_opt"]
    environment = os.environ | {"TINYGRAD_OPT_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    lines = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert f"numpy {np.__version__}" in lines
    assert f"kernel cache {tmp_path}" in lines
    assert "CUDA devices 0" in lines or tinygrad_opt.cuda.is_available()
    assert any(line.startswith(f"tinygrad_opt {tinygrad_opt.__version__}, in ") for line in lines)


def test_what_was_measured_of_the_threads():
    lines = tinygrad_opt.__config__.parallel_info().splitlines()
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
    assert facts.pop("who said how many")
    assert int(facts["threads"]) == tinygrad_opt.get_num_threads()
    assert int(facts["elements from which updates are shared"]) > 0
    assert {int(value) >= 0 for value in facts.values()} == {True}


def test_the_configuration_is_what_the_command_prints():
    said = tinygrad_opt.__config__.show()
    assert tinygrad_opt.__version__ in said
    assert f"numpy         {np.__version__}" in said
