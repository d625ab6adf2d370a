"""Several processes together, started by mpiexec: `make test-mpi`."""

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("mpi4py", reason="needs mpi4py, which make test-mpi installs")

import launching

if launching.mpiexec() is None:
    pytest.skip("needs mpiexec: pip install mpich", allow_module_level=True)

SOURCE = Path(__file__).with_name("checks.py").read_text()
CHECKS = re.findall(r"^def (check_\w+)", SOURCE, re.MULTILINE)


@pytest.fixture(scope="module", params=[2, 4], ids=lambda n: f"{n} processes")
def found(request):
    """What the checks of one launch found."""
    status, output, _ = launching.run(request.param, "checks.py")
    lines = [line for line in output.splitlines() if line.startswith('{"check_')]
    return {k: v for line in lines for k, v in json.loads(line).items()}, status, output


@pytest.mark.parametrize("name", CHECKS)
def test_check(name, found):
    results, _, output = found
    assert name in results, f"it was not reached:\n{output[-3000:]}"
    assert results[name] == [], results[name][0]


def test_the_launch_ends_well(found):
    _, status, output = found
    assert status == 0, output[-3000:]
