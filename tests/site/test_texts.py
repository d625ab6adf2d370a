"""How docstrings become HTML: formulas are set, prose stays prose, everything has its block."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))

import docstrings  # noqa: E402
import formulas  # noqa: E402
import pages  # noqa: E402


@pytest.mark.parametrize(
    ("text", "mathml"),
    [
        ("a / (b + 1)",
         "<mfrac><mi>a</mi><mrow><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow></mrow></mfrac>"),
        ("lr * m / v", '<mrow><mi mathvariant="normal">lr</mi><mo>⋅</mo>'
         "<mfrac><mi>m</mi><mi>v</mi></mfrac></mrow>"),
        ("beta1^t", "<msup><msub><mi>β</mi><mn>1</mn></msub><mi>t</mi></msup>"),
        ("-sqrt(x)", '<mrow><mo form="prefix">\N{MINUS SIGN}</mo><msqrt><mrow><mi>x</mi></mrow>'
         "</msqrt></mrow>"),
        ("x W^T", "<mrow><mi>x</mi><mo>\N{INVISIBLE TIMES}</mo><msup><mi>W</mi><mi>T</mi></msup>"
         "</mrow>"),
        ("x <= T_max", "<mrow><mi>x</mi><mo>≤</mo><msub><mi>T</mi>"
         '<mi mathvariant="normal">max</mi></msub></mrow>'),
    ],
)  # fmt: skip
def test_formulas_are_set(text, mathml):
    assert re.fullmatch(rf"<math[^>]*>{re.escape(mathml)}</math>", formulas.mathml(text))


@pytest.mark.parametrize(
    "text",
    ["The mean", "x", "a b", "s grows by one", "input @", "f(x", "a = the rate", "1 2", "x & y",
     "(out, in)", ""],
)  # fmt: skip
def test_prose_is_no_formula(text):
    assert formulas.mathml(text) == ""


DOCSTRING = """y = a x + b, for every x & y.

a, b   numbers, such as `x < 1`; the
       second may be 0
lr = 0.1: the rate

    f(t) = c from then on

y = x^2;  z = 3  (if needed)
More words. Raises ValueError for y < 0. It goes on.
Source: Someone 2020, arXiv:2001.00001.

>>> 1 + 1  # doctest: +SKIP
2
"""


def test_each_part_of_a_docstring_has_its_block():
    made = docstrings.as_html(DOCSTRING, lambda name: "#there" if name == "x < 1" else "", ["lr"])
    blocks = re.sub(r"<math.*?</math>", "M", made, flags=re.DOTALL)
    assert blocks.startswith('<p class="opening">M, for every x &amp; y.</p>')
    assert (
        "<tr><th><code>a</code>, <code>b</code></th><td>numbers, such as "
        '<a href="#there"><code>x &lt; 1</code></a>; the second may be 0</td></tr>'
    ) in blocks
    assert '<th><code>lr</code> <span class="default">= 0.1</span></th><td>the rate</td>' in blocks
    assert '<div class="formula">M<span class="when">from then on</span></div>' in blocks
    assert 'MM<span class="when">(if needed)</span></div>' in blocks
    assert '<p class="told raises"><b>Raises</b> ValueError for y &lt; 0.</p>' in blocks
    assert "<p>It goes on.</p>" in blocks
    assert (
        '<p class="told source"><b>Source</b> Someone 2020, '
        '<a href="https://arxiv.org/abs/2001.00001">arXiv:2001.00001</a>.</p>'
    ) in blocks
    assert blocks.count('<div class="example">') == 1
    assert "doctest" not in blocks


def test_links_and_formulas_of_pages(tmp_path):
    stage = pages.Stage(tmp_path)
    text = ("[s](../examples/race.py) [p](kernels.md#x) [m](#a) ![i](images/race.png) `[c](d.py)`\n"
            "$x^2$ costs $5\n```python\n[k](../setup.py)\n```\n"
            '<img src="images/race.png"> <a href="autograd.md">')  # fmt: skip
    made = stage.rewritten(text, "docs/quickstart.md")
    assert "[s](../source/examples.race.py.html) [p](kernels.md#x) [m](#a)" in made
    assert "![i](images/race.png)" in made
    assert "[k](../setup.py)" in made
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in made
    assert "costs $5" in made
    assert '<img src="images/race.png"> <a href="autograd.html">' in made
    assert stage.sources == {"examples/race.py"}
