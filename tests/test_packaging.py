"""What an installed tinygrad_opt holds, and that it works away from its source folder."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TRAINING = """
import tinygrad_opt as torch
from tinygrad_opt.kernels import rule
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
x, y = torch.randn(16, 2), torch.ones(16, 1)
losses = []
for _ in range(50):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < 0.1 * losses[0], losses
print(torch.__file__, rule.__file__)
"""


def run(*command, **options):
    """Run a command; return what it printed, and show all of it when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build a wheel from a copy, since a build leaves files behind; return its path."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("tinygrad_opt", "kernels"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    run(*build, "--wheel-dir", str(folder), str(folder))
    return next(folder.glob("tinygrad_opt-*.whl"))


def test_listed_packages_are_those_on_disk():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    roots = {"tinygrad_opt": ROOT / "tinygrad_opt", "tinygrad_opt.kernels": ROOT / "kernels"}
    found = {
        ".".join([name, *init.parent.relative_to(folder).parts])
        for name, folder in roots.items()
        for init in folder.rglob("__init__.py")
    }
    assert sorted(listed) == sorted(found)


def test_wheel_holds_every_module_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {f"tinygrad_opt/kernels/{p.name}" for p in (ROOT / "kernels").glob("*.py")}
    modules |= {str(p.relative_to(ROOT)) for p in (ROOT / "tinygrad_opt").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    assert "tinygrad_opt/py.typed" in names
    # A top-level `kernels` would clash with a package on PyPI.
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tinygrad_opt"}


def test_installed_wheel_trains_away_from_its_source(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel))
    # -S leaves out the environment's own site-packages, and so this checkout's editable install;
    # the dependencies are added back by hand, behind the wheel.
    numpy_at = str(Path(__import__("numpy").__file__).parents[1])
    setup = f"import sys; sys.path[:0] = [{str(site)!r}]; sys.path.append({numpy_at!r})"
    printed = run(sys.executable, "-S", "-c", setup + TRAINING, cwd=elsewhere)
    assert all(path.startswith(str(site)) for path in printed.split())
