"""The playground's page in a browser: a visit from the first look to a rule of one's own.

The tests are the steps of one visit, in its order and in one process: a page takes seconds to load.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import socket
import time

import pytest

exceptions = pytest.importorskip("selenium.common.exceptions")

# Panel's widgets live in shadow roots, within one another.
FIND = """
const [host, what] = arguments, found = [];
const walk = (root, want, into) => {
  for (const e of root.querySelectorAll("*")) {
    if (e.matches(want)) into.push(e);
    if (e.shadowRoot) walk(e.shadowRoot, want, into);
  }
};
const hosts = [];
walk(document, host, hosts);
for (const h of hosts) { if (!what) found.push(h); else walk(h.shadowRoot || h, what, found); }
return found;
"""
# What the curves show: {name: its last value} for both racers.
CURVES = """
return [...Bokeh.documents[0]._all_models.values()]
  .filter(m => m.type === "ColumnDataSource" && m.data.rate)
  .map(m => ({loss: m.data.loss.at(-1), rate: m.data.rate.at(-1), count: m.data.step.length}));
"""
MINE = "k = 0.5\n\ndef mine(p, g, m, lr, k):\n    m = m + k * (g - m)\n    return p - lr * m, m\n"
PATIENCE = 60  # seconds


class Visit:
    """What a visitor does and sees."""

    def __init__(self, driver, address):
        self.driver = driver
        self.logs = []
        driver.get(address)

    def find(self, host, what=None):
        end = time.monotonic() + PATIENCE
        while not (found := self.driver.execute_script(FIND, host, what)):
            assert time.monotonic() < end, f"no {what} in {host}"
            time.sleep(0.05)
        return found[0]

    def press(self, host, what="button"):
        """A click; what is drawn anew meanwhile is looked for again."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return self.find(host, what).click()
            except exceptions.WebDriverException:
                assert time.monotonic() < end, f"{what} in {host} cannot be pressed"
                time.sleep(0.05)

    def run(self, wanted=True):
        """Let the race run, or pause it."""
        label = "Pause" if wanted else "Run"
        if not self.says(".run", "button").endswith(label):
            self.press(".run")
        self.wait(lambda: self.says(".run", "button").endswith(label), f"no {label}")

    def says(self, host, what="div"):
        return self._of(host, what, "textContent")

    def _of(self, host, what, read):
        """What JavaScript reads of an element; in one go, since elements are drawn anew."""
        script = f"const find = () => {{ {FIND.replace('arguments', 'given')} }}"
        script = f"const given = arguments; {script}; const e = find()[0]; return e && e.{read};"
        end = time.monotonic() + PATIENCE
        while (found := self.driver.execute_script(script, host, what)) is None:
            assert time.monotonic() < end, f"no {what} in {host}"
            time.sleep(0.05)
        return found

    def score(self, side):
        """The words above a picture, and the loss among them."""
        text = self.says(f".score-{side}")
        found = re.search(r"loss ([\d.e+-]+)", text)
        return text, float(found[1]) if found else None

    def step(self):
        return int(re.search(r"step ([\d,]+) of", self.says(".status"))[1].replace(",", ""))

    def wait(self, done, what):
        end = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < end, what
            time.sleep(0.05)

    def curves(self):
        return self.driver.execute_script(CURVES)

    def code(self, host, text=None):
        """What an editor holds; or put `text` into it, as pasting does."""
        if text is not None:
            self._of(host, ".ace_editor", f"env.editor.setValue({json.dumps(text)}, 1)")
        return self._of(host, ".ace_editor", "env.editor.getValue()")

    def log(self, kind):
        return self.driver.get_log(kind)


@pytest.fixture(scope="module")
def visit(driver, address):
    return Visit(driver, address)


def test_it_starts(visit):
    assert visit.driver.title == "playground"
    assert visit.step() == 0
    assert visit.score(0)[0].startswith("SGD")
    assert visit.score(1)[0].startswith("Adam")
    assert "def adam(p, g, m, v," in visit.code(".editor")
    assert "def adam_serial(" in visit.code(".made")
    assert "p = p - lr * (m / (1 - beta1^t))" in visit.says(".formula", "pre")


def test_two_optimizers_race_and_learn(visit):
    visit.press(".step")
    visit.wait(lambda: visit.step() == 1, "no step is taken")
    assert visit.score(0)[1] == visit.score(1)[1] == pytest.approx(math.log(2), rel=0.2)
    visit.press(".run")
    visit.wait(lambda: visit.step() > 200, "the race does not go on")
    assert visit.score(0)[1] < 0.3
    assert visit.score(1)[1] < 0.3
    assert "accuracy 100%" in visit.score(1)[0]
    drawn = visit.curves()
    assert len(drawn) == 2
    assert all(curve["count"] > 100 for curve in drawn)


def test_sliders_act_in_mid_training(visit):
    before = [curve["rate"] for curve in visit.curves()]
    handle = visit.find(".lr-1", ".noUi-handle")
    handle.send_keys("\ue014" * 4)  # arrow to the right
    visit.wait(lambda: visit.curves()[1]["rate"] > before[1], "the rate is as it was")
    assert visit.curves()[0]["rate"] == before[0]
    assert visit.step() > 200


def test_pause_and_single_steps(visit):
    visit.run(False)
    stood = visit.step()
    visit.press(".step")
    visit.wait(lambda: visit.step() == stood + 1, "no single step")


def test_another_network_starts_anew(visit):
    visit.find(".layers", ".noUi-handle").send_keys("\ue012")  # arrow to the left
    visit.wait(lambda: visit.step() == 0, "the race did not start anew")
    assert visit.score(0)[1] is None  # no step yet


def test_steps_run_compiled(visit):
    visit.press(".compile", "input")
    visit.press(".kernel", "button:nth-child(4)")
    visit.wait(lambda: "run compiled steps" in visit.code(".made"), "nothing is said")
    visit.run()
    visit.wait(lambda: "    adam(0, " in visit.code(".made"), "no compiled step is shown")
    visit.press(".compile", "input")
    visit.press(".kernel", "button:nth-child(1)")


def test_a_rule_is_edited_and_raced(visit):
    visit.code(".editor", MINE)
    visit.press(".race-rule")
    visit.wait(lambda: visit.score(1)[0].startswith("your mine"), "the rule does not race")
    visit.wait(lambda: "def mine_serial(" in visit.code(".made"), "its kernel is not shown")
    assert visit.code(".editor") == MINE
    visit.find(".k-1", ".noUi-handle")  # a slider for the coefficient
    visit.run()
    visit.wait(lambda: visit.step() > 250, "no steps are taken")
    assert visit.score(1)[1] < 0.6


@pytest.mark.parametrize(
    ("text", "error"),
    [("def mine(p, g, lr:", "line 1: '(' was never closed"),
     ("def mine(p, g, lr):\n    return p - lr * open(g)\n", "open"),
     ("import os\ndef mine(p, g):\n    return p\n", "not 'os'")],
    ids=["syntax", "refused name", "refused import"],
)  # fmt: skip
def test_a_bad_rule_shows_its_error(visit, text, error):
    visit.code(".editor", text)
    visit.press(".race-rule")
    visit.wait(lambda: error in visit.says(".rule-error"), visit.says(".rule-error"))
    assert visit.score(1)[0].startswith("your mine")  # who raced before still does
    assert visit.code(".editor") == text  # to be mended


def test_a_rule_that_leaves_the_numbers_shows_it(visit):
    visit.code(".editor", "def wild(p, g, lr):\n    return p / 0.0\n")
    visit.press(".race-rule")
    visit.wait(lambda: visit.score(1)[0].startswith("your wild"), "the rule does not race")
    visit.run()
    visit.wait(lambda: "no longer finite" in visit.says(".message-1"), "nothing is said")
    visit.wait(lambda: visit.step() > 20, "the other one does not go on")


def test_trajectories_on_a_landscape(visit):
    visit.run(False)
    visit.press(".kind", "button:nth-child(2)")
    visit.wait(lambda: "at (-1.5, 2)" in visit.score(0)[0], visit.score(0)[0])
    visit.run()
    visit.wait(lambda: visit.step() > 50, "no steps are taken")
    assert visit.score(0)[1] < 1
    assert "at (-1.5, 2)" not in visit.score(0)[0]


def test_dark(visit, address):
    visit.driver.get(f"{address}/?theme=dark")
    assert visit.score(0)[0].startswith("SGD")
    visit.press(".run")
    visit.wait(lambda: visit.step() > 5, "no steps are taken")


def test_nothing_came_from_elsewhere_and_nothing_went_wrong(visit, address):
    """Of the whole visit: so this comes last."""
    errors = [entry for entry in visit.log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    events = [json.loads(entry["message"])["message"] for entry in visit.log("performance")]
    asked = [e["params"]["request"]["url"] for e in events
             if e["method"] == "Network.requestWillBeSent"]  # fmt: skip
    asked += [e["params"]["url"] for e in events if e["method"] == "Network.webSocketCreated"]
    host = address.partition("//")[2]
    # chrome:// is the empty tab that the browser began with: it lies in the browser.
    inside = (f"http://{host}/", f"ws://{host}/", "data:", "blob:", "chrome://")
    assert sum(url.startswith(f"http://{host}/static/") for url in asked) > 5
    assert sum(url.startswith(f"ws://{host}/") for url in asked) == 2
    assert [url for url in asked if not url.startswith(inside)] == []


@pytest.mark.parametrize(("origin", "status"), [("http://elsewhere.example", 403), (None, 101)])
def test_pages_from_elsewhere_cannot_talk_to_it(address, origin, status):
    """A site that is open in another tab must not run rules here."""
    host = address.partition("//")[2]
    connection = http.client.HTTPConnection(host, timeout=10)
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": origin or address,
               "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
               "Sec-WebSocket-Protocol": "bokeh, token"}  # fmt: skip
    connection.request("GET", "/ws", headers=headers)
    answer = connection.getresponse().status
    connection.close()
    assert answer == status


def test_it_answers_to_loopback_alone(address):
    port = int(address.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):  # 127.0.0.2 is this machine, too
        socket.create_connection(("127.0.0.2", port), timeout=5)
