"""A rule's kernel is made of the function that runs, wherever its text stands."""

import functools
import importlib.util
import linecache
import os
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest

from tinygrad_opt.kernels import RuleError, sgd, update_rule
from tinygrad_opt.kernels.compiler import source
from tinygrad_opt.kernels.fused import elementwise

OTHER_TEXT = "is not that of the function that runs: it was changed after it was loaded"


def launched(rule, *coefficients):
    """What the kernel and the plain function make of p = 1 and g = 1."""
    p = np.ones(2, np.float64)
    rule.launch((p, np.ones(2, np.float64)), coefficients)
    assert p.tolist() == [rule(1.0, 1.0, *coefficients)] * 2
    return p[0]


# Texts that changed, and neighbours ---------------------------------------------------------------

FACTORY = """
    from tinygrad_opt.kernels import update_rule

    def make(k):
        @update_rule
        def rule(p, g):
            return p - {step} * g
        return rule
"""


def load(path, name="factory"):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path, text, time):
    path.write_text(textwrap.dedent(text))
    os.utime(path, (time, time))  # linecache goes by the time and the size


CHANGES = {
    "constant": FACTORY.format(step="2 * k"),
    "sign": FACTORY.format(step="k").replace("p -", "p +"),
    "names": FACTORY.format(step="k").replace("(p, g)", "(g, p)"),
    "name": FACTORY.format(step="k").replace("def rule", "def ruler"),
    "1 and 1.0": FACTORY.format(step="1.0 * k"),
    "broken": FACTORY.format(step="k").replace("return p", "return ("),
    "shorter": "x = 1\n",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_edited_is_refused(change, tmp_path):
    path = tmp_path / "factory.py"
    write(path, FACTORY.format(step="1 * k"), 1.0)
    make = load(path).make
    assert launched(make(0.25)) == 0.75
    write(path, CHANGES[change], 2.0)
    with pytest.raises(RuleError, match=f"{OTHER_TEXT}|Python keeps no source for it"):
        make(0.25)


def test_a_text_that_moved_is_found(tmp_path):
    path = tmp_path / "factory.py"
    write(path, FACTORY.format(step="k"), 1.0)
    make = load(path).make
    write(path, "# one\n# two\n\ndef rule(p, g): return p\n" + textwrap.dedent(
        FACTORY.format(step="k")), 2.0)  # fmt: skip
    assert launched(make(0.25)) == 0.75


def test_neighbours_of_one_name(tmp_path):
    path = tmp_path / "twins.py"
    path.write_text(
        "from tinygrad_opt.kernels import update_rule\n"
        "def f(p, g): return p - g\n"
        "first = f\n"
        "def f(p, g): return p - 2 * g\n"
        "class A:\n"
        "    def f(p, g): return p - 3 * g\n"
        "    if True:\n"
        "        @update_rule\n"
        "        def h(p, g): return p - 4 * g\n"
    )
    module = load(path, "twins")
    rules = [update_rule(f) for f in (module.first, module.f, module.A.f)]
    assert [launched(rule) for rule in rules] == [0.0, -1.0, -2.0]
    assert launched(module.A.h) == -3.0


# Python 3.13 keeps the text of `python -c` under the name that all of exec's functions have.
@pytest.mark.parametrize(
    ("name", "reason"), [("<a cell>", OTHER_TEXT), ("<string>", "the text called <string> is")]
)
def test_exec_under_the_name_of_another_text(name, reason, monkeypatch):
    text = "def f(p, g):\n    return p - {} * g\n"
    kept = (1, None, text.format(2).splitlines(True), name)
    monkeypatch.setitem(linecache.cache, name, kept)
    for factor, accepted in ((2, True), (3, False)):
        scope = {"__name__": "cell"}
        exec(compile(text.format(factor), name, "exec"), scope)
        if accepted:
            assert launched(update_rule(scope["f"])) == -1.0
        else:
            with pytest.raises(RuleError, match=reason):
                update_rule(scope["f"])


def test_definitions_are_found_without_going_through_their_file(monkeypatch):
    """That takes 12 to 40 ms a file, which is long where kernels are on disk."""
    tree_of, texts = source.tree_of, []

    def seen(text, *args, **flags):
        texts.append(text)
        return tree_of(text, *args, **flags)

    monkeypatch.setattr(source, "tree_of", seen)
    source._compiled.cache_clear()
    rows = elementwise.ROWS.values()
    for function in {function for row in rows for function in (row.value, row.slope)}:
        assert source.definition(function, pytest.fail).name == function.__name__
        assert texts.pop().count("def ") == 1
        assert not texts


def test_constants_must_be_the_same_to_the_type():
    codes = [compile(text, "f", "eval") for text in ("x + 1", "x + 1.0", "x + True", "x + 1")]
    assert [source._same(codes[0], code) for code in codes] == [True, False, False, True]
    assert not source._same(-0.0, 0.0)
    assert source._same(float("nan"), float("nan"))


def test_future_statements_of_a_file(tmp_path):
    path = tmp_path / "future.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from tinygrad_opt.kernels import update_rule\n"
        "'an invalid escape: \\\\d'\n"
        "@update_rule\n"
        "def rule(p: Unknown, g) -> Nothing:\n"
        "    y: Other = 2 * g\n"
        "    return p - y\n"
    )
    assert launched(load(path, "future").rule) == -1.0


def test_doctests_hold_rules(tmp_path):
    path = tmp_path / "documented.py"
    path.write_text(
        '"""\n'
        ">>> from tinygrad_opt.kernels import update_rule\n"
        ">>> @update_rule\n"
        "... def rule(p, g):\n"
        "...     return p - 0.5 * g\n"
        ">>> import numpy as np\n"
        ">>> p = np.ones(1)\n"
        ">>> rule.launch((p, np.ones(1)), ())\n"
        ">>> print(p)\n"
        "[0.5]\n"
        '"""\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "doctest", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# Indented blocks ----------------------------------------------------------------------------------

BLOCKS = {
    "comment at column zero": """
    @update_rule
    def rule(p, g):
# out
        return p - g
""",
    "continuation to the left": """
    @update_rule
    def rule(p, g):
        return (p -
  g)
""",
    "docstring to the left": '''
    @update_rule
    def rule(p, g):
        """One line,
and another.
"""
        return p - g
''',
    "string to the left": '''
    @update_rule
    def rule(p, g):
        t = g if 1 < 2 else """
"""
        return p - t
''',
    "backslash": """
    @update_rule
    def rule(p, g):
        return p \\
- g
""",
    "tabs": """
    if True:
    \t@update_rule
    \tdef rule(p, g):
    \t\treturn p - g
""",
    "class": """
    class A:
        if True:
            @update_rule
            def rule(p, g):
                return p - g
    rule = A.rule
""",
    "one line": """
    if True: rule = 1
    @update_rule
    def rule(p, g): t = g; return p - t
""",
    "try, with, for": """
    import contextlib
    for _ in range(2):
        with contextlib.nullcontext():
            try:
                @update_rule
                def rule(p, g):
                    if g > 0:
                        t = g
# a stray comment
                    else: t = g
                    return p - t
            finally: pass
""",
    "decorators with arguments": """
    def named(name, *, also):
        return lambda f: f
    @named("a", also=[
1, 2])
    @update_rule
    @named("b",
  also=None)
    def rule(p, g):
        return p - g
""",
    "arguments over lines": """
    @update_rule
    def rule(
p,
        g,  # the gradient
    ):
        return p - g
""",
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name, tmp_path):
    path = tmp_path / "block.py"
    head = "from tinygrad_opt.kernels import update_rule\ndef make():\n"
    text = head + BLOCKS[name].lstrip("\n") + "    return rule\n"
    path.write_text(text)
    if name == "string to the left":
        with pytest.raises(RuleError, match="str is not a number the kernel can hold"):
            load(path, "block").make()
    else:
        assert launched(load(path, "block").make()) == 0.0


# Decorators and other callables -------------------------------------------------------------------


def doubled(function):
    @functools.wraps(function)
    def inner(*arguments):
        return 2 * function(*arguments)

    return inner


def marked(function):
    function.marked = True
    return function


def plain(p, g):
    return p - g


async def awaited(p, g):
    return p - g


def generated(p, g):
    yield p - g


class Holder:
    def method(self, g):
        return g


NOT_PLAIN = {
    "wrapped": (lambda: doubled(plain), "there is another decorator under @update_rule"),
    "njit": (lambda: numba.njit(plain), "plain: is compiled already; leave out @njit"),
    "vectorize": (lambda: numba.vectorize(plain), "leave out @njit|got DUFunc"),
    "partial": (lambda: functools.partial(plain, 1.0), "written with def, got partial"),
    "method": (lambda: Holder().method, "method: must be a plain function .*, got method"),
    "staticmethod": (lambda: staticmethod(plain), "written with def, got staticmethod"),
    "class": (lambda: Holder, "Holder: must be a plain function written with def, got type"),
    "rule": (lambda: sgd, "sgd: must be a plain function written with def, got UpdateRule"),
    "builtin": (lambda: abs, "abs: must be a plain function .*, got builtin_function_or_method"),
    "ufunc": (lambda: np.add, "add: must be a plain function written with def, got ufunc"),
    "async": (lambda: awaited, "awaited: must be a plain function written with def"),
    "generator": (lambda: generated, "generated: must be a plain function written with def"),
    "number": (lambda: 3, "update rule 3: must be a plain function written with def, got int"),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_no_plain_function_is_refused(name):
    make, message = NOT_PLAIN[name]
    with pytest.raises(RuleError, match=message):
        update_rule(make())


def test_a_decorator_that_hands_the_function_on_is_fine():
    @marked
    @update_rule
    @marked
    def rule(p, g):
        return p - g

    assert rule.function.marked
    assert rule.marked
    assert launched(rule) == 0.0


def test_defaults_that_a_decorator_gives_are_refused():
    def rule(p, g, lr):
        return p - lr * g

    rule.__defaults__ = (0.1,)
    with pytest.raises(RuleError, match="takes plain positional arguments only"):
        update_rule(rule)


# What names mean ----------------------------------------------------------------------------------

RATE = 0.5


class Settings:
    rate = 0.5


def test_names_mean_what_they_meant_at_decoration(monkeypatch):
    outer = 0.5

    @update_rule
    def rule(p, g):
        return p - RATE * Settings.rate * outer * g

    assert launched(rule) == 0.875
    outer = 100.0
    monkeypatch.setitem(globals(), "RATE", 100.0)
    monkeypatch.setattr(Settings, "rate", 100.0)
    assert launched(rule) == 0.875  # kernel and plain function alike
    p = np.ones(1)
    rule.reference((p, np.ones(1)), ())
    assert p[0] == 0.875
    assert launched(update_rule(rule.function)) == 0.875

    @update_rule
    def anew(p, g):
        return p - RATE * 0.25 * g

    assert launched(anew) == -24.0
