"""Formulas of docstrings, which are plain text, as MathML: `p = p - lr * m / (sqrt(v) + eps)`.

A line is a formula where all of it follows this grammar, and prose otherwise. Names stand beside
one another, as in `x W^T`, only if they are short, as mathematics has them.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from dataclasses import dataclass

TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:e-?\d+)?)|([A-Za-z][A-Za-z_0-9.]*'*)|(<=|>=|!=|==|->|\*\*|[-+*/^@=<>()\[\],|:]))"
)
GREEK = {
    name: unicodedata.lookup(f"GREEK SMALL LETTER {name.upper()}")
    for name in ("alpha", "beta", "gamma", "delta", "epsilon", "eta", "theta", "kappa", "mu", "nu",
                 "xi", "pi", "rho", "sigma", "tau", "phi", "omega")
}  # fmt: skip
GREEK |= {"eps": GREEK["epsilon"], "lambda": "\N{GREEK SMALL LETTER LAMDA}"}
GREEK |= {"lambd": GREEK["lambda"], "Phi": "\N{GREEK CAPITAL LETTER PHI}"}
FUNCTIONS = {
    "exp", "log", "log1p", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "min", "max",
    "sign", "sum", "mean", "var", "std", "softmax", "log_softmax", "sigmoid", "relu", "softplus",
    "lgamma", "digamma", "erf", "erfc", "sqrt", "abs", "floor", "ceil", "clip", "det", "trace",
    "diag", "softsign", "asin", "acos", "atan", "asinh", "acosh", "atanh", "rate", "f", "norm",
    "E", "Var", "KL", "logsumexp", "log_prob", "prod", "round", "gamma", "beta",
}  # fmt: skip
RELATIONS = {"=": "=", "==": "=", "<": "&lt;", ">": "&gt;", "<=": "≤", ">=": "≥", "!=": "≠",
             "->": "→"}  # fmt: skip
FENCES = {"floor": ("⌊", "⌋"), "ceil": ("⌈", "⌉"), "abs": ("|", "|")}
PHRASES = re.compile(r"\b(?:initial|base|last|current) (?:rate|lr)\b")
PRIME = "\N{PRIME}"
MINUS = "\N{MINUS SIGN}"
LETTERS = re.compile(r"([A-Za-z])('*)")
WITH_DIGITS = re.compile(r"([A-Za-z]+?)_?(\d+)('*)")
WITH_INDEX = re.compile(r"([A-Za-z]+)_([A-Za-z]{1,3}|max|min|new|old)")


class NoFormula(ValueError):
    """The text is prose, or a formula of another grammar."""


@dataclass
class Part:
    """A piece of MathML; `inside` is the same without its parentheses, where it has some."""

    text: str
    inside: str = ""


def row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def sign(text: str, form: str = "") -> str:
    return f"<mo{form}>{text}</mo>"


def name(word: str) -> str:
    """A letter in italics, a Greek one by its name, an index below, a word upright."""
    if word in GREEK:
        return f"<mi>{GREEK[word]}</mi>"
    if found := LETTERS.fullmatch(word):
        return f"<mi>{found[1]}</mi>" if not found[2] else primed(f"<mi>{found[1]}</mi>", found[2])
    if (found := WITH_DIGITS.fullmatch(word)) and is_symbol(found[1]):
        below = f"<msub>{name(found[1])}<mn>{found[2]}</mn></msub>"
        return primed(below, found[3]) if found[3] else below
    if (found := WITH_INDEX.fullmatch(word)) and is_symbol(found[1]):
        return f"<msub>{name(found[1])}{name(found[2])}</msub>"
    word = word.replace("_", " ") if PHRASES.fullmatch(word.replace("_", " ")) else word
    return f'<mi mathvariant="normal">{html.escape(word)}</mi>'


def primed(base: str, primes: str) -> str:
    return f"<msup>{base}{sign(PRIME * len(primes))}</msup>"


def is_symbol(word: str) -> bool:
    """Whether mathematics would write it as one sign: these may stand side by side."""
    if (word[0].isalpha() and len(word.rstrip("'")) == 1) or word in GREEK:
        return True
    found = WITH_DIGITS.fullmatch(word) or WITH_INDEX.fullmatch(word)
    return found is not None and is_symbol(found[1])


class Reader:
    """Reads tokens by recursive descent, and writes MathML as it goes."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        self.at = 0
        self.operators = 0
        position = 0
        text = PHRASES.sub(lambda found: found[0].replace(" ", "_"), text.strip())
        while position < len(text):
            found = TOKEN.match(text, position)
            if found is None:
                raise NoFormula(text)
            self.tokens.append(found[0].strip())
            position = found.end()

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.peek()
        if not token or (wanted and token not in wanted):
            raise NoFormula(token)
        self.at += 1
        return token

    def whole(self) -> str:
        written = self.relation()
        if self.peek() or not self.operators:
            raise NoFormula(self.peek())
        return written

    def relation(self) -> str:
        parts = [self.sum()]
        while self.peek() in RELATIONS:
            parts += [sign(RELATIONS[self.take()]), self.sum()]
            self.operators += 1
        return row(*parts) if len(parts) > 1 else parts[0]

    def sum(self) -> str:
        parts = []
        if self.peek() in ("-", "+"):
            parts.append(sign(self.sign_before(), ' form="prefix"'))
        parts.append(self.product().text)
        while self.peek() in ("+", "-"):
            parts += [sign(MINUS if self.take() == "-" else "+"), self.product().text]
            self.operators += 1
        return row(*parts) if len(parts) > 1 else parts[0]

    def sign_before(self) -> str:
        first = self.take()
        if first == "+" and self.peek() == "-":
            self.take()
            return "±"
        return MINUS if first == "-" else "+"

    def product(self) -> Part:
        """Factors between `*`; a fraction takes what stands beside one another, no more."""
        factors = [self.quotient()]
        while self.peek() in ("*", "@"):
            self.take()
            self.operators += 1
            factors.append(self.quotient())
        if len(factors) == 1:
            return factors[0]
        dots = [factors[0].text, *(sign("⋅") + factor.text for factor in factors[1:])]
        return Part(row(*dots))

    def quotient(self) -> Part:
        left = self.side_by_side()
        while self.peek() == "/":
            self.take()
            self.operators += 1
            right = self.power()
            left = Part(f"<mfrac>{left.inside or left.text}{right.inside or right.text}</mfrac>")
            while self.beside():
                left = Part(row(left.text, sign("⁢"), self.power().text))
        return left

    def side_by_side(self) -> Part:
        left = self.power()
        while self.beside():
            left = Part(row(left.text, sign("⁢"), self.power().text))
        return left

    def beside(self) -> bool:
        """Whether two factors stand side by side: short names, and parentheses behind a sign."""
        before, token = self.tokens[self.at - 1], self.peek()
        if not token or before in RELATIONS:
            return False
        ends = before in (")", "]") or before[0].isdigit() or is_symbol(before)
        begins = token == "(" or is_symbol(token) or token in FUNCTIONS
        return ends and begins and not (before[0].isdigit() and token[0].isdigit())

    def power(self) -> Part:
        base = self.atom()
        if self.peek() in ("^", "**"):
            self.take()
            self.operators += 1
            if self.peek() in ("-", "+"):
                exponent = row(sign(self.sign_before(), ' form="prefix"'), self.atom().text)
            else:
                raised = self.power()
                exponent = raised.inside or raised.text
            return Part(f"<msup>{base.text}{exponent}</msup>")
        return base

    def atom(self) -> Part:
        token = self.take()
        if token[0].isdigit():
            return Part(f"<mn>{token}</mn>")
        if token == "(":
            return self.closed(")")
        if token == "[":
            return self.closed("]")
        if token == "|":
            inside = self.sum()
            self.take("|")
            self.operators += 1
            return Part(row(sign("|", ' stretchy="true" form="prefix"'), inside,
                            sign("|", ' stretchy="true" form="postfix"')))  # fmt: skip
        if token[0].isalpha() and not token.endswith("."):
            return self.named(token)
        raise NoFormula(token)

    def named(self, word: str) -> Part:
        if self.peek() == "(" and (word in FUNCTIONS or not is_symbol(word)):
            self.take()
            inside = self.listed(")")
            self.operators += 1
            if word == "sqrt":
                return Part(f"<msqrt>{inside}</msqrt>")
            if word in FENCES:
                left, right = FENCES[word]
                return Part(row(sign(left), inside, sign(right)))
            return Part(row(name(word), sign("⁡"), sign("("), inside, sign(")")))
        if self.peek() == "[":
            self.take()
            indexed = f"<msub>{name(word)}{row(self.listed(']'))}</msub>"
            if self.peek() != "(":
                return Part(indexed)
            self.take()
            return Part(row(indexed, sign("⁡"), sign("("), self.listed(")"), sign(")")))
        return Part(name(word))

    def closed(self, end: str) -> Part:
        inside = self.listed(end)
        start = "(" if end == ")" else "["
        return Part(row(sign(start), inside, sign(end)), inside)

    def listed(self, end: str) -> str:
        parts = [self.relation()]
        while self.peek() in (",", ":"):
            parts += [sign(self.take()), self.relation()]
        self.take(end)
        return row(*parts)


@functools.cache
def mathml(text: str, block: bool = False) -> str:
    """`text` as a <math> element, or "" where it is not a formula."""
    try:
        written = Reader(text).whole()
    except (NoFormula, RecursionError):
        return ""
    display = ' display="block"' if block else ""
    return f'<math{display} title="{html.escape(text.strip(), quote=True)}">{written}</math>'
