"""All settings stand in pyproject.toml, but for two.

A checkout without symbolic links: `tinygrad_opt/kernels` is a link to `kernels/`. Git for Windows
writes a text file in its place unless Developer Mode and `core.symlinks` are on; the folder is then
named here instead.

The long description: README.md, whose links and pictures are paths in the repository. Where
[project.urls] names the source, they become addresses there; else links become their text and
pictures are left out, since on PyPI a path leads nowhere.
"""

import re
import tomllib
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
LINK, FOLDER = "tinygrad_opt.kernels", "kernels"
CODE = re.compile(r"(^```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)
TAG = re.compile(r"<picture>.*?</picture>|<img\b[^>]*>", re.DOTALL)
ATTRIBUTE = re.compile(r'\b(src|srcset|href)="(?![a-z]+:)([^"]+)"')
TARGET = re.compile(r"(!?)\[([^\[\]]*)\]\((?![a-z]+:)([^)\s]+)\)")


def long_description(text: str, source: str) -> str:
    """A page of the repository for other places; `source`: the repository's address, or ""."""

    def address(target: str, kind: str) -> str:
        path = f"README.md{target}" if target.startswith("#") else target
        return f"{source}/{kind}/HEAD/{path}"

    def link(found: re.Match[str]) -> str:
        picture, shown, target = found.groups()
        if source:
            return f"{picture}[{shown}]({address(target, 'raw' if picture else 'blob')})"
        return "" if picture else shown

    def attribute(found: re.Match[str]) -> str:
        name, target = found.groups()
        if not source:
            return ""
        return f'{name}="{address(target, "blob" if name == "href" else "raw")}"'

    def part(prose: str) -> str:
        prose = prose if source else TAG.sub("", prose)
        return ATTRIBUTE.sub(attribute, TARGET.sub(link, TARGET.sub(link, prose)))

    return "".join(x if i % 2 else part(x) for i, x in enumerate(CODE.split(text)))


def source_address() -> str:
    """The repository's address in pyproject.toml, "" where it has none."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    urls = {name.lower(): url for name, url in project.get("urls", {}).items()}
    return (urls.get("source") or urls.get("repository") or "").rstrip("/")


# An editable install of a package_dir of "." is a path that type checkers and editors read, too.
packages, package_dir = find_packages(include=["tinygrad_opt", "tinygrad_opt.*"]), {"": "."}
if LINK not in packages:
    packages += [LINK, *(f"{LINK}.{name}" for name in find_packages(FOLDER))]
    package_dir[LINK] = FOLDER
setup(
    packages=packages,
    package_dir=package_dir,
    long_description=long_description(
        (HERE / "README.md").read_text(encoding="utf-8"), source_address()
    ),
    long_description_content_type="text/markdown",
)
