"""The rule of one side: its formula, its Python to be edited, and what becomes of it."""

from __future__ import annotations

import html
import re
from typing import Any

from .session import Session, Snapshot

__all__ = ["ACTIVE", "RulesShown"]

# The Fast design leaves the chosen button's text as dark as its ground.
ACTIVE = ".bk-btn-group .bk-btn.bk-active { color: white !important; }"
_KERNELS = {
    "CPU": "serial", "threads": "parallel", "CUDA": "cuda", "whole step": "compiled",
}  # fmt: skip
_NOT_YET = """\
# The whole training step as one function (docs/compile.md). It is written once steps run compiled:
# tick "run compiled steps" on the left, and let the race run.
"""


class RulesShown:
    """What stands below the curves.

    Attributes:
        items: the widgets, for the page.
    """

    def __init__(self, pn: Any, session: Session, dark: bool) -> None:
        self._session = session
        self._shown: Any = None
        self._shot: Snapshot = session.snapshot
        theme = "tomorrow_night" if dark else "github"
        self._side = pn.widgets.RadioButtonGroup(
            options={"left": 0, "right": 1}, value=1, button_type="primary",
            button_style="outline", css_classes=["rule-side"], stylesheets=[ACTIVE],
        )  # fmt: skip
        self._kernel = pn.widgets.RadioButtonGroup(
            options=_KERNELS, value="serial", button_type="primary", button_style="outline",
            css_classes=["kernel"], stylesheets=[ACTIVE],
        )  # fmt: skip
        self._race = pn.widgets.Button(
            name="Race this rule", button_type="primary", css_classes=["race-rule"]
        )
        self._formula = pn.pane.HTML(css_classes=["formula"], sizing_mode="stretch_width")
        code: dict[str, Any] = dict(
            language="python", theme=theme, sizing_mode="stretch_width", height=380,
            print_margin=False,
        )  # fmt: skip
        self._editor = pn.widgets.CodeEditor(css_classes=["editor"], **code)
        self._made = pn.widgets.CodeEditor(readonly=True, css_classes=["made"], **code)
        self._error = pn.pane.Alert(alert_type="danger", visible=False, css_classes=["rule-error"])
        self._side.param.watch(lambda event: self.show(self._shot), "value")
        self._kernel.param.watch(lambda event: self.show(self._shot), "value")
        self._race.on_click(lambda event: session.type_rule(self._side.value, self._editor.value))
        says = (
            "Change the rule and race it. It runs as Python on this machine, in this page's "
            "process. Arguments: parameter, gradient, states, then coefficients; it returns the "
            "parameter and the states. <code>k = 0.5</code> above it makes a slider for k."
        )
        self.items = [
            pn.Row(
                pn.pane.HTML(
                    "<b style='font-size: 15px'>The rule of the one on the</b>", align="center"
                ),
                self._side,
            ),
            self._formula,
            pn.pane.HTML(says, sizing_mode="stretch_width", margin=(0, 10)),
            pn.Row(
                pn.Column(
                    pn.Row(pn.pane.HTML("Its Python, to be changed:", align="center"), self._race),
                    self._editor, self._error,
                    sizing_mode="stretch_width",
                ),
                pn.Column(
                    pn.Row(pn.pane.HTML("What is made of it:", align="center"), self._kernel),
                    self._made,
                    sizing_mode="stretch_width",
                ),
                sizing_mode="stretch_width",
            ),
        ]  # fmt: skip

    def show(self, shot: Snapshot) -> None:
        """Bring the texts to what a snapshot says; what somebody is typing stays."""
        self._shot = shot
        side, kind = shot.sides[self._side.value], self._kernel.value
        if self._shown != (self._side.value, side.python):
            self._shown = (self._side.value, side.python)
            self._editor.value = side.python
            self._formula.object = (
                f"<pre style='font-size: 13px; margin: 0'>{html.escape(side.formula)}</pre>"
            )
        text = side.compiled or _NOT_YET if kind == "compiled" else side.kernels.get(kind, "")
        text = _without_head(text)
        if self._made.value != text:
            self._made.value = text
        self._error.param.update(object=html.escape(side.error), visible=bool(side.error))


def _without_head(text: str) -> str:
    """A generated file from its first compiled function on: the heads are alike."""
    found = re.search(r"^@(njit|plain|cuda\.jit)", text, re.MULTILINE)
    if not found:
        return text
    return f"# From the generated file, without its imports.\n\n{text[found.start() :]}"
