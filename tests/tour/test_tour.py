"""The guided tour: its chapters, what it prints, and how it judges right answers and wrong ones."""

import io
import os
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from mistakes import MISTAKES
from test_house import READING_PATH, THEN

import tinygrad_opt
from tinygrad_opt import nn
from tinygrad_opt.commands import main
from tinygrad_opt.tour import command, hundred_lines
from tinygrad_opt.tour.chapters import chapters
from tinygrad_opt.tour.checks import rival
from tinygrad_opt.tour.judge import judge
from tinygrad_opt.tour.plain import plain
from tinygrad_opt.tour.running import run

ROOT = Path(__file__).parents[2]
SOLUTIONS = Path(__file__).parent / "solutions"
CHAPTERS = {c.slug: c for c in chapters()}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def text_of(verdict):
    return "\n".join(f"{label:<10} {text}" for label, text in verdict.lines)


# The hundred lines --------------------------------------------------------------------------------


def test_the_hundred_lines_are_a_hundred():
    assert len(Path(hundred_lines.__file__).read_text().splitlines()) <= 100


def test_the_hundred_lines_give_the_gradients_of_the_package():
    rng = np.random.default_rng(1)
    x, sides = rng.normal(size=(7, 3)), rng.choice([-1.0, 1.0], (7, 1))
    start = [rng.normal(size=shape) for shape in ((3, 4), (4,), (4, 1), (1,))]
    tiny = [hundred_lines.Tensor(a, requires_grad=True) for a in start]
    full = [tinygrad_opt.tensor(a, requires_grad=True) for a in start]

    def scores(x, tanh, w1, b1, w2, b2):
        hidden = tanh(x @ w1 + b1)
        return hidden @ w2 + b2 - 0.5 * (2.0 - hidden * hidden) @ w2  # w2 and hidden are shared

    ours = scores(x, hundred_lines.tanh, *tiny)
    hundred_lines.mean(hundred_lines.softplus(-sides * ours)).backward()
    theirs = scores(tinygrad_opt.tensor(x), tinygrad_opt.tanh, *full)
    nn.functional.softplus(tinygrad_opt.tensor(-sides) * theirs).mean().backward()
    for a, b in zip(tiny, full, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-12)


def test_the_hundred_lines_learn_and_run_as_a_script(capsys):
    runpy.run_path(hundred_lines.__file__, run_name="__main__")
    first, last, accuracy = re.findall(r"[\d.]+", capsys.readouterr().out)
    assert float(last) < 0.25 * float(first)
    assert int(accuracy) >= 95


def test_the_hundred_lines_refuse_what_is_no_recorded_number():
    with pytest.raises(RuntimeError, match=r"want one recorded number, got shape \(2,\)"):
        hundred_lines.Tensor([1.0, 2.0], requires_grad=True).backward()


# The chapters -------------------------------------------------------------------------------------


def test_chapters_walk_the_reading_path():
    read = [file for c in chapters() for file in c.files]
    begin, end = ["tinygrad_opt/tour/hundred_lines.py"], ["kernels/compiler/codegen.py"]
    assert read == [*begin, *READING_PATH, *THEN, *end]
    assert [c.number for c in chapters()] == list(range(1, len(chapters()) + 1))


@pytest.mark.parametrize("slug", CHAPTERS)
def test_a_chapter_is_whole(slug):
    c = CHAPTERS[slug]
    for part in ("## What to look for", "## Questions", "## Exercise"):
        assert part in c.text
    questions = re.findall(r"^\d\. ", c.text.partition("## Questions")[2], re.MULTILINE)
    assert questions == re.findall(r"^\d\. ", c.answers, re.MULTILINE)
    assert (c.text + c.stub + c.answers).isascii()  # for any terminal
    assert f"python -m tinygrad_opt tour check {c.number}" in c.stub
    rooms = {(ROOT / file).parent for file in c.files}
    source = "\n".join(path.read_text() for room in rooms for path in room.glob("*.py"))
    look = c.text.partition("## What to look for")[2].partition("## Questions")[0]
    names = re.findall(r"`(\w{3,})`", look)
    assert [name for name in names if not re.search(rf"\b{name}\b", source)] == []
    for columns in (40, 90):
        prose = [x for x in plain(c.text, columns).splitlines() if not x.startswith("    ")]
        longest = max(prose, key=len)
        assert len(longest) <= columns or " " not in longest.strip("- "), longest


# Judging ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", CHAPTERS)
def test_the_stub_is_open_the_solution_solved_and_mistakes_are_told(slug, tmp_path, monkeypatch):
    c = CHAPTERS[slug]
    monkeypatch.setattr(rival, "adams_error", lambda: ADAM)
    path = tmp_path / "stub.py"
    path.write_text(c.stub)
    verdict = judge(c, path)
    if slug in ("rival", "kernel"):  # these begin with something that runs
        assert verdict.kind == "wrong"
        assert re.search("hint", text_of(verdict))
    else:
        assert verdict.kind == "open"
        assert verdict.lines[0][1] in c.stub
    solution = SOLUTIONS / c.exercise
    verdict = judge(c, solution)
    assert verdict.kind == "solved", verdict
    for i, (right, wrong, pattern) in enumerate(MISTAKES[slug]):
        path = tmp_path / f"mistake{i}.py"
        text = solution.read_text()
        assert right in text
        path.write_text(text.replace(right, wrong, 1))
        verdict = judge(c, path)
        assert verdict.kind in ("wrong", "broken"), (wrong, verdict)
        assert re.search(pattern, text_of(verdict)), (wrong, verdict)


ADAM = 0.0436  # what it takes some seconds to find out


@pytest.mark.thorough
def test_what_adam_reaches():
    assert rival.adams_error() == pytest.approx(ADAM, rel=0.3)  # other processors round otherwise


def test_every_exercise_has_a_solution_and_mistakes():
    assert {path.name for path in SOLUTIONS.glob("*.py")} == {c.exercise for c in chapters()}
    assert MISTAKES.keys() == CHAPTERS.keys()
    assert all(len(rows) >= 2 or slug == "rival" for slug, rows in MISTAKES.items())


# What the reader's code may do, and what is said of it then.
WILD = {
    "def operations(y)": ("broken", r"not Python +expected ':'\nwhere +line 1: def operations"),
    "x = 3": ("wrong", "expected +a function called operations\ngot +nothing of that name"),
    "operations = 3": ("wrong", "got +int 3"),
    "def operations(y):\n    return y.nod": ("broken", "no attribute 'nod'\nwhere +line 2: return"),
    "import sys\nsys.exit(0)": ("broken", "raised +SystemExit: 0\nwhere +line 2: sys.exit"),
    "raise KeyboardInterrupt": ("broken", "raised +KeyboardInterrupt"),
    "def operations(y):\n    return operations(y)": ("broken", "too deep\n.*line 2.*\nhint.*list"),
    "def operations(y):\n    return __import__('numpy').ones(2)": ("wrong", "got +array"),
    "class operations:\n    def __init__(self, y): 0\n    def __eq__(self, other): return True": (
        "broken",
        r"no len\(\)\nhint +the check came to this",
    ),
    "import no_such_module": ("broken", "ModuleNotFoundError: No module named 'no_such_module'"),
}


@pytest.mark.parametrize("code", WILD)
def test_whatever_is_written_is_judged(code, tmp_path):
    kind, pattern = WILD[code]
    path = tmp_path / "mine.py"
    path.write_text(code)
    verdict = judge(CHAPTERS["graph"], path)
    assert verdict.kind == kind
    assert re.search(pattern, text_of(verdict)), text_of(verdict)


def test_a_loop_without_end_is_stopped_and_a_flood_is_cut(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("print('here')\nwhile True:\n    print('x' * 1000)\n")
    verdict, printed = run(CHAPTERS["graph"], path, 4.0)
    assert verdict.kind == "stopped"
    assert re.search(r"after 4 seconds\nwhere +line [23]: ", text_of(verdict))
    assert printed.startswith("here\nxxx")
    assert len(printed) < 3000


def test_what_was_changed_within_a_second_is_read(tmp_path):
    path = tmp_path / "mine.py"
    for code, kind in (("x = 3", "wrong"), ("x = =", "broken"), ("x = 4", "wrong")):
        path.write_text(code)
        os.utime(path, (1e9, 1e9))
        assert judge(CHAPTERS["graph"], path).kind == kind


@pytest.mark.skipif(sys.platform == "win32", reason="other exit codes")
def test_a_process_that_ends_is_told(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import os\nprint('bye', '\\u03b2', flush=True)\nos._exit(7)\n")
    verdict, printed = run(CHAPTERS["graph"], path)
    assert "exit code 7" in text_of(verdict)
    assert printed == "bye \u03b2\n"


def test_what_it_prints_needs_no_more_letters_than_the_terminal_has(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert command._printable("x = \u03b2") == r"x = \u03b2"


# The command --------------------------------------------------------------------------------------


def said(capsys, *arguments):
    main(["tour", *arguments])
    return capsys.readouterr().out


def test_a_tour(tmp_path, capsys):
    listed = said(capsys)
    assert f"{len(chapters())} chapters, 0 solved" in listed
    assert re.search(r"\[ \]  3  The graph +tinygrad_opt/core/node.py", listed)
    assert "Next: python -m tinygrad_opt tour 1" in listed
    assert list(tmp_path.iterdir()) == []

    shown = said(capsys, "1")
    assert "Autograd in a hundred lines\n====" in shown
    assert "hundred_lines.py" in os.listdir("tiny_tour")
    path = tmp_path / "tiny_tour" / "03_graph.py"
    shown = said(capsys, "3")
    assert f"Your file: {Path('tiny_tour/03_graph.py')}\n" in shown
    assert path.read_text() == CHAPTERS["graph"].stub
    assert "[.]  3" in said(capsys)

    path.write_text("print('hello')\n" + (SOLUTIONS / "03_graph.py").read_text())
    checked = said(capsys, "check", "3")
    assert re.search(r"\[x\] 3\. The graph: solved\n.*\n +it printed:\n +\| hello", checked)
    assert "Next: python -m tinygrad_opt tour 4\n" in checked
    assert "[x]  3" in said(capsys)
    assert "(as you left it" in said(capsys, "3")
    assert path.read_text().startswith("print('hello')")  # never written over
    path.write_text(path.read_text() + "\n")
    assert "[~]  3" in said(capsys)


def test_all_that_was_begun_is_checked(capsys):
    for number in ("3", "4"):
        said(capsys, number, "--folder", "elsewhere")
    Path("elsewhere/04_tensor.py").write_text((SOLUTIONS / "04_tensor.py").read_text())
    Path("elsewhere/progress.json").write_text("{ broken")
    with pytest.raises(SystemExit) as left:
        main(["tour", "check", "--folder", "elsewhere"])
    assert left.value.code == 1
    out = capsys.readouterr().out
    assert re.search(r"\[ \] 3\. The graph: not done yet\n +to do", out)
    assert "[x] 4. An array that remembers: solved" in out
    assert "1 of 2 solved" in out
    assert "tour 1 --folder elsewhere" in said(capsys, "--folder", "elsewhere")


def test_answers_are_there_for_who_asks(capsys):
    assert "It is a leaf" in said(capsys, "4", "--answers")
    assert "It is a leaf" not in said(capsys, "4")


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["16"], "chapters are 1 to 15, got '16'"),
        (["check", "0"], "chapters are 1 to 15, got '0'"),
        (["chek"], "want a chapter's number or `check`, got 'chek'"),
        (["3", "4"], "say `tour N` or `tour check N`, got `tour 3 4`"),
        (["check"], "nothing to check in tiny_tour; begin with `python -m tinygrad_opt tour 1`"),
        (["3", "--folder", "a_file"], "must name a folder, got the file a_file"),
        (["check", "3", "--seconds", "0"], "must be positive, got 0"),
    ],
)
def test_arguments_are_checked(arguments, pattern, capsys):
    Path("a_file").write_text("")
    with pytest.raises(SystemExit) as left:
        main(["tour", *arguments])
    assert left.value.code == 2
    assert pattern in capsys.readouterr().err
