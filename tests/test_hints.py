"""What messages say to do next, for mistakes that are met again and again."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.kernels.compiler import OLDEST_NUMBA, check_numba
from tinygrad_opt.training import fit, summary
from tinygrad_opt.utils.data import DataLoader

NOT_STORED = {"model": [nn.Linear(1, 1)], "array": np.array([None])}


class Shared(list):
    """Something that holds itself cannot be gone through for ever."""


def fit_on_tensors():
    model = nn.Linear(2, 1)
    data = (tg.ones(4, 2), tg.ones(4, 1))
    fit(model, nn.MSELoss(), optim.SGD(model.parameters(), 0.1), data, quiet=True)


def held_by_itself():
    shared = Shared()
    shared += [shared, len]
    tg.save(shared, "a.pt")


CASES = {
    "type": (lambda: tg.ones(2).to("float64"), "; a type goes by its object: torch.float64"),
    "half": (lambda: nn.Linear(4, 4 / 2), "got (2.0, 4); a // b divides to an int"),
    "tensors": (fit_on_tensors, "but is a Tensor; one batch of all data is the list [(x, y)]"),
    "place": (lambda: tg.save(NOT_STORED, "a.pt"), "cannot store a Linear at model.0; it is a"),
    "top": (lambda: tg.save(len, "a.pt"), "cannot store a builtin_function_or_method at the top"),
    "inside": (lambda: tg.save({"a": {len}}, "a.pt"), "_method at some place in it"),
    "array": (lambda: tg.save({"a": NOT_STORED["array"]}, "a.pt"), "array of object at a"),
    "cycle": (held_by_itself, "cannot store"),
    "lambda": (
        lambda: next(iter(DataLoader(range(2), num_workers=1, collate_fn=lambda x: x,
                                     multiprocessing_context="spawn"))),
        "define them at the top of a module, not as lambdas or in functions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_hints(name):
    call, text = CASES[name]
    with pytest.raises(Exception, match=re.escape(text)):
        call()


def notes_of(model, *shape):
    with pytest.raises(RuntimeError, match="mat1 and mat2") as raised:
        summary(model, shape)
    return raised.value.__notes__


def test_summary_says_in_which_layer_the_shapes_do_not_fit():
    inner = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    assert notes_of(nn.Sequential(nn.Conv2d(1, 4, 3), inner), 2, 1, 8, 8) == [
        "summary: in 1.1 (Linear), after 1.0 (Flatten) had returned (2, 144)"
    ]
    assert notes_of(nn.Linear(3, 1), 2, 2) == ["summary: in the model (Linear)"]


def test_spawned_workers_of_a_script_without_a_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from tinygrad_opt.utils.data import DataLoader\n"
        "next(iter(DataLoader(range(2), num_workers=1, multiprocessing_context='spawn')))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert 'exit code 1 (a script needs `if __name__ == "__main__":` around' in done.stderr


@pytest.mark.parametrize("version", ["0.9.1", "0.60.0", "0.61.2"])
def test_an_old_numba_is_refused(version):
    with pytest.raises(ImportError, match=f"needs Numba 0.62 or newer, and .* {version}; pip"):
        check_numba(version)


@pytest.mark.parametrize("version", ["0.62.0rc1", "0.100.0", "1.0"])
def test_a_newer_numba_is_not(version):
    check_numba(version)
    assert f'"numba>={OLDEST_NUMBA}"' in (Path(__file__).parents[1] / "pyproject.toml").read_text()


def test_an_operation_of_code_without_a_name():
    space = {"op": tg.autograd.op}
    exec("@op\ndef twice(x):\n    return 2 * x, lambda g: 2 * g", space)
    assert space["twice"](tg.ones(1)).item() == 2
