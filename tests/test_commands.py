"""`python -m tinygrad_opt bench`, `show` and `warmup`: what they find, print and refuse."""

import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest

from tinygrad_opt.commands import line, machine_code, main, measure, roofline
from tinygrad_opt.commands.rules import built_in, find_rule
from tinygrad_opt.kernels import UpdateRule, adam, threads

MINE = """
from helpers import RATE
from tinygrad_opt.kernels import update_rule

@update_rule
def decayed(p, g, lr):
    return p - lr * (g + RATE * p)

def plain(p, g, lr):
    return p - lr * g

number = 3
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "helpers.py").write_text("RATE = 0.5\n")
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_rules_are_found_by_name_and_in_files(mine):
    assert find_rule("adam") is adam
    assert find_rule(f"{mine}:decayed")(1.0, 1.0, 0.1) == pytest.approx(1 - 0.1 * 1.5)
    plain = find_rule(f"{mine}:plain")
    assert isinstance(plain, UpdateRule)
    assert plain.coefficients == ("lr",)
    assert len(built_in()) > 25


REFUSED = {
    "adamm": r"no update rule 'adamm': there are adabelief, .*FILE.py:NAME",
    "{there}:nothing": r"has nothing called 'nothing'; it must be an update rule",
    "{there}:number": r"has a int called 'number'",
    "{there}.txt:x": r"no file '.*mine.py.txt'",
    "{folder}/data.csv:x": r"is no Python file",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_rule_is_refused(text, mine, tmp_path, capsys):
    (tmp_path / "data.csv").write_text("1, 2\n")
    with pytest.raises(SystemExit) as left:
        main(["show", text.format(there=mine, folder=tmp_path)])
    assert left.value.code == 2
    assert re.search(REFUSED[text], capsys.readouterr().err)


SHOWN = {
    "": r"def sgd_serial\(",
    "--parallel": r"from tinygrad_opt.kernels.pool import even, share",
    "--cuda": r"cuda\.grid",
    "--llvm": r"fmul <\d+ x float>",
}


@pytest.mark.parametrize("kind", SHOWN)
def test_a_rule_is_shown(kind, capsys):
    main(["show", "sgd", *kind.split()])
    assert re.search(SHOWN[kind], capsys.readouterr().out)


NESTED = """
kernel:
.LBB0_1:
	vaddps	%ymm0, %ymm1, %ymm2
.LBB0_2:
	movl	(%rdi), %eax
	addl	$1, %eax
	jne	.LBB0_2
.LBB0_3:
	vmovups	(%rdi), %zmm3
	vmulps	%zmm3, %zmm1, %zmm2
	vaddps	%zmm2, %zmm0, %zmm0
	# a remark
	jne	.LBB0_3
	jne	.LBB0_1
	jmp	.LBB0_4
.LBB0_4:
	retq
"""

NEON = """
.LBB0_7:
	ldp	q0, q1, [x8]
	fmul	v0.4s, v0.4s, v2.4s
	subs	x9, x9, #8
	b.ne	.LBB0_7
"""


def test_the_hot_loop_is_the_innermost_one_that_computes():
    found = machine_code.hot_loop(NESTED)
    assert NESTED.splitlines()[found.first] == ".LBB0_3:"
    assert "jne\t.LBB0_3" in NESTED.splitlines()[found.last]
    assert (found.instructions, found.bits) == (4, 512)
    assert machine_code.hot_loop(NEON) == (1, 5, 4, 128)
    assert machine_code.hot_loop("kernel:\n\tret\n") is None
    assert machine_code.marked("kernel:\n\tret\n").startswith("; no loop of packed arithmetic")
    lines = machine_code.marked(NESTED).splitlines()
    assert [line[2:] for line in lines if line.startswith("|")] == NESTED.splitlines()[8:14]


def test_registers_of_ptx():
    text = "\t.reg .pred \t%p<5>;\n\t.reg .f32 \t%f<98>;\n"
    assert machine_code.declared_registers(text) == "4 pred, 97 f32"


def test_a_kernel_of_this_machine_is_marked(capsys):
    if platform.machine().lower() not in ("x86_64", "amd64", "arm64", "aarch64"):
        pytest.skip(f"no patterns for {platform.machine()}")
    main(["show", "sgd", "--asm"])
    marked = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert any(re.search(r"v?mulps|fmul|fmla", line) for line in marked)


def test_rules_are_measured_and_drawn(mine, tmp_path, capsys):
    picture, before = tmp_path / "roofline.png", threads.threshold
    main(["bench", "sgd", f"{mine}:decayed", "--sizes", "2_000", "300", "--seconds", "0.02",
          "--out", str(picture)])  # fmt: skip
    said = capsys.readouterr().out
    assert threads.threshold == before
    assert re.search(r"sgd\(p, g, .*\)\n +elements", said)
    sizes = re.findall(r"^ +([\d,]+) ", said, re.MULTILINE)
    assert sizes == ["300", "2,000"] * 3  # two tables, and the comparison
    assert said.count("hot loop: ") == said.count("threads pay from: ") == 2
    assert re.search(r"^ +300 +1\.00 +\d+\.\d\d$", said, re.MULTILINE)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000


def test_what_is_counted():
    [[row]] = measure.measure([adam], np.dtype("float64"), [1_000], seconds=0.01)
    assert row.bytes == 7 * 8 * 1_000  # four vectors are read, three written
    assert row.rate == row.bytes / min(row.serial, row.parallel)
    assert roofline.operations(find_rule("step_along")) == 3


def test_where_threads_pay():
    def row(n, serial, parallel):
        return measure.Row(n, serial, parallel, 1.0, 1)

    rows = [row(1, 1.0, 0.5), row(10, 1.0, 2.0), row(100, 2.0, 1.0), row(1000, 9.0, 5.0)]
    assert measure.crossover(rows) in (100, None if threads.get_num_threads() == 1 else 100)
    assert measure.crossover(rows[:2]) is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["bench", "sgd", "--sizes", "0"], "at least 1"), (["bench", "sgd", "--seconds", "-1"], "-1"),
     (["bench", "sgd", "--sizes", "1e3"], "a size must be a whole number, at least 1, got 1e3"),
     (["bench", "sgd", "--out", "/nowhere/a.png"], "there is no folder /nowhere"),
     (["bench", "sgd", "--out", "a.foo"], "the picture must end with"),
     (["bench", "sgd", "--out", "a"], ".svg, .svgz, .tif, .tiff, .webp, got 'a'"),
     (["tour", "--answers"], "--answers are those of a chapter: `python -m tinygrad_opt tour N"),
     (["tour", "check", "1", "--answers"], "--answers are those of a chapter"),
     (["tour", "1", "--folder", "/dev/null/tour"], "Not a directory"),
     (["race"], "invalid choice")],
)  # fmt: skip
def test_arguments_are_checked(arguments, text, capsys, monkeypatch):
    monkeypatch.setattr(line, "measure", pytest.fail)  # before anything is measured
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert text in capsys.readouterr().err


def test_files_of_rules_may_hold_dataclasses(tmp_path):
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    text += "@dataclass\nclass Plan:\n    lr: float = 0.1\n\ndef plain(p, g):\n    return p - g\n"
    (tmp_path / "with_a_plan.py").write_text(text)
    assert find_rule(f"{tmp_path / 'with_a_plan.py'}:plain").name == "plain"


@pytest.mark.thorough
def test_warmup_fills_the_cache(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "tinygrad_opt", "warmup", "sgd"]
    environment = os.environ | {"TINYGRAD_OPT_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "sgd: ready for float32" in done.stdout
    kept = [path.name for path in tmp_path.rglob("*.nbc")]
    assert any("sgd_serial" in name for name in kept), kept
    assert any("sgd_parallel" in name for name in kept), kept
