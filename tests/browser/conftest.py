"""A playground that is served, and a headless Chromium that looks at it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def address():
    """Where the page is; its server runs in a process of its own."""
    command = [sys.executable, "-m", "tinygrad_opt", "playground", "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = server.stdout.readline()
        found = re.match(r"playground: (http://127\.0\.0\.1:\d+) ", said)
        assert found, said
        yield found[1]
        assert server.poll() is None, "the server has ended"
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """Debian's Chromium and its driver; nothing is fetched."""
    webdriver = pytest.importorskip("selenium.webdriver")
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in programs.items() if path is None]
    assert not missing, f"not installed: {missing}; apt-get install chromium chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
        "window-size=1440,1500", f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(programs["chromedriver"])
    made = webdriver.Chrome(options=options, service=service)
    try:
        yield made
    finally:
        made.quit()
