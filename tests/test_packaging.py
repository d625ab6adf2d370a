"""The checkout, its wheel, source distribution and editable install all hold the same modules.

`tinygrad_opt/kernels` is a link to `kernels/`, or a text file that says so, as Git for Windows
writes it; every test but the last runs on a copy of either kind.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[1]
KERNELS = [path.relative_to(ROOT).as_posix() for path in (ROOT / "kernels").rglob("*.py")]
MODULES = {f"tinygrad_opt/{path}" for path in KERNELS}
CHAPTERS = {p.relative_to(ROOT).as_posix() for p in (ROOT / "tinygrad_opt/tour").rglob("*.md")}
MODULES |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "tinygrad_opt").rglob("*.py")}

STUBS = [*(ROOT / "tinygrad_opt").rglob("*.pyi")]

TRAINING = """
import tinygrad_opt as torch
from tinygrad_opt.kernels import adam, rule
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
assert isinstance(adam, rule.UpdateRule)
print(torch.__file__, rule.__file__)
"""


def run(*command, **options):
    """Run a command; return what it printed, and show all of it when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def train(cwd, *path, before=""):
    """Train in a Python that knows `path` and the dependencies; return the modules' files."""
    # -S leaves out the environment's own site-packages, and so this checkout's editable install.
    dependencies = str(Path(__import__("numpy").__file__).parents[1])
    start = f"import sys; sys.path += {[*map(str, path), dependencies]!r}; {before}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-W", "error", "-c", start + TRAINING]
    printed = run(*command, cwd=cwd, env=environment)
    return [Path(name) for name in printed.split()]


def build(kind, source, folder):
    """Let setuptools build a "wheel", "sdist" or "editable" of `source`; return the file."""
    call = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder)!r})"
    run(sys.executable, "-c", call, cwd=source)
    (made,) = Path(folder).iterdir()
    return made


def modules_of(wheel):
    return {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}


@pytest.fixture(scope="module", params=["link", "text"])
def checkout(request, tmp_path_factory):
    """A copy, since a build leaves files behind; `kernels` in it is a link or the link's text."""
    folder = tmp_path_factory.mktemp(request.param) / "checkout"
    ignored = shutil.ignore_patterns(
        "__pycache__", ".git", ".venv*", ".*_cache", ".hypothesis", "build", "dist", "*.egg-info"
    )
    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)
    link = folder / "tinygrad_opt" / "kernels"
    link.unlink()
    if request.param == "link":
        link.symlink_to("../kernels", target_is_directory=True)
    else:
        link.write_text("../kernels")
    return folder


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_every_module_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert modules_of(wheel) == MODULES
    assert "tinygrad_opt/py.typed" in names
    assert {name for name in names if name.endswith(".md")} >= CHAPTERS
    assert {path.relative_to(ROOT).as_posix() for path in STUBS} <= set(names)
    # A top-level `kernels` would clash with a package on PyPI.
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tinygrad_opt"}


PROSE = re.compile(r"^```.*?^```[ \t]*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
TARGETS = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|srcset|href)=\"([^\"]+)\"")


def description_of(source, tmp_path):
    """The description in the metadata that setuptools makes of a folder."""
    call = f"build_meta.prepare_metadata_for_build_wheel({str(tmp_path)!r})"
    run(sys.executable, "-c", f"from setuptools import build_meta; {call}", cwd=source)
    (file,) = tmp_path.glob("*.dist-info/METADATA")
    metadata = message_from_string(file.read_text(encoding="utf-8"))
    assert metadata["Description-Content-Type"] == "text/markdown"
    return metadata.get_payload()


@pytest.mark.parametrize("address", ["", "https://example.org/us/ours"], ids=["none", "source"])
def test_links_of_the_description_hold_on_pypi(address, tmp_path):
    folder = tmp_path / "source"
    for name in ("tinygrad_opt", "kernels"):
        (folder / name).mkdir(parents=True)
    (folder / "tinygrad_opt" / "__init__.py").write_text('__version__ = "1.0"\n')
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    settings = (ROOT / "pyproject.toml").read_text()
    settings = re.sub(r"\[project\.urls\]\n(?:[^\[\n].*\n)*", "", settings)
    settings += f'\n[project.urls]\nSource = "{address}"\n' if address else ""
    (folder / "pyproject.toml").write_text(settings)
    with open(folder / "README.md", "a") as file:
        file.write('\n<picture><source srcset="docs/a.png"><img src="docs/b.png"></picture>\n')

    description = description_of(folder, tmp_path)
    found = {a or b for a, b in TARGETS.findall(PROSE.sub("", description))}
    assert "accuracy = (model(x).argmax(1) == y).float().mean()" in description  # code stays
    if address:
        assert f"{address}/blob/HEAD/docs/quickstart.md" in found
        assert f"{address}/blob/HEAD/README.md#measured" in found
        pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())
        assert {f"{address}/raw/HEAD/{path}" for path in [*pictures, "docs/a.png"]} <= found
    else:
        assert "![" not in description
        assert "<picture" not in description
    assert [target for target in found if not re.match("https?://", target)] == []


def test_source_distribution_builds_the_same_wheel_and_passes_tests(checkout, wheel, tmp_path):
    files = {p.relative_to(checkout) for p in checkout.rglob("*") if p.is_file()}
    archive = build("sdist", checkout, tmp_path / "sdist")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("tinygrad_opt-*")
    held = {p.relative_to(source) for p in source.rglob("*") if p.is_file()}
    missing = {p for p in files - held if not (checkout / p).is_symlink()}
    missing = {
        p for p in missing if p.parts[0] not in ("build", "digits.png", "tinygrad_opt.egg-info")
    }
    assert missing - {Path("tinygrad_opt/kernels")} == set()
    rebuilt = build("wheel", source, tmp_path / "wheel")
    assert rebuilt.name == wheel.name
    assert modules_of(rebuilt) == MODULES
    assert set(zipfile.ZipFile(rebuilt).namelist()) >= CHAPTERS
    if not (checkout / "tinygrad_opt" / "kernels").is_symlink():
        return  # the same files as the other checkout's
    tests = ["tests/test_house.py", "tests/optim/test_schedules.py"]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    assert " passed" in run(*command, cwd=source, env=environment)


def test_a_script_is_sound_by_the_strictest_rules_with_the_installed_wheel(
    checkout, wheel, tmp_path
):
    if not (checkout / "tinygrad_opt" / "kernels").is_symlink():
        pytest.skip("the wheels hold the same modules")
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    (site,) = (tmp_path / "venv").glob("[Ll]ib/**/site-packages")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    (site / "others.pth").write_text(str(Path(__import__("numpy").__file__).parents[1]))
    shutil.copy(ROOT / "tests" / "user_script.py", tmp_path / "script.py")
    (python,) = (tmp_path / "venv").glob("*/python")
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run(*command, "script.py", cwd=tmp_path, env=environment)
    # That is so by its marker, and not because another copy was found.
    (site / "tinygrad_opt" / "py.typed").unlink()
    done = subprocess.run(
        [*command, "script.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert 'module "tinygrad_opt": module is installed, but missing' in done.stdout.replace(
        'analyzing "tinygrad_opt"', 'module "tinygrad_opt"'
    )


def test_installed_wheel_trains_there_and_in_the_checkout(checkout, wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel))
    assert all(path.is_relative_to(site) for path in train(elsewhere, site))
    # The folder where Python starts comes first: the checkout hides what `pip install .` put there.
    assert all(path.is_relative_to(checkout) for path in train(checkout, site))


def test_checkout_trains_without_an_install(checkout, tmp_path):
    assert all(path.is_relative_to(checkout) for path in train(tmp_path, checkout))


def test_editable_install_trains(checkout, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(build("editable", checkout, tmp_path / "wheel")) as files:
        files.extractall(site)
    install = f"import site; site.addsitedir({str(site)!r})"
    assert all(path.is_relative_to(checkout) for path in train(tmp_path, before=install))


def test_type_checkers_find_the_modules_of_an_editable_install(checkout, tmp_path):
    if not (checkout / "tinygrad_opt" / "kernels").is_symlink():
        pytest.skip("without the link only an import finds them")
    with zipfile.ZipFile(build("editable", checkout, tmp_path / "wheel")) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".pth"))
        path = files.read(name).decode().strip()
    assert Path(path) == checkout  # not a line of code, which no type checker runs
    check = [sys.executable, "-m", "mypy", "--follow-imports=skip", "--no-site-packages"]
    environment = os.environ | {"MYPYPATH": path}
    run(*check, "-c", "import tinygrad_opt.kernels.rule", cwd=tmp_path, env=environment)


@pytest.mark.skipif(
    sys.platform == "win32" or (ROOT / "PKG-INFO").exists(),
    reason="Git may have written a text file; a source distribution holds the folder",
)
def test_kernels_is_a_link_and_not_a_copy():
    assert os.readlink(ROOT / "tinygrad_opt" / "kernels") == "../kernels"
