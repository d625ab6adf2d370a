"""The built site: every public name is on it and is found, no link is broken, nothing is remote.

`make test-site` runs this; it installs what builds the site.
"""

from __future__ import annotations

import html
import inspect
import json
import posixpath
import re
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from urllib.parse import unquote

import pytest
from test_documented import NAMES

import tinygrad_opt
from tinygrad_opt import nn, optim

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))

ID = re.compile(r'\sid="([^"]+)"')
LINK = re.compile(r'<(\w+)\b[^>]*?\s(?:href|src|srcset|poster|data)="([^"]*)"')
EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//")
IN_CSS = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"]?)(?!data:|#|%23)([^'\")\s]+)")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, built with mkdocs' warnings as errors."""
    folder = tmp_path_factory.mktemp("built") / "site"
    build = [sys.executable, ROOT / "docs" / "site", "--out", folder]
    done = subprocess.run(build, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def pages(site):
    """{path of a page: its HTML}."""
    return {p.relative_to(site).as_posix(): p.read_text() for p in site.rglob("*.html")}


@pytest.fixture(scope="session")
def anchors(pages):
    return {path: set(ID.findall(text)) for path, text in pages.items()}


@pytest.fixture(scope="session")
def index(site):
    """What the search searches: {location: (title, HTML)}."""
    found = json.loads((site / "search" / "search_index.json").read_text())
    return {doc["location"]: (bare(doc["title"]), doc["text"]) for doc in found["docs"]}


@pytest.fixture(scope="session")
def entries(pages):
    """{name: the HTML from its heading in the reference to the next heading}."""
    found = {}
    for path, text in pages.items():
        if path.startswith("reference/"):
            parts = re.split(r'<h[1-4] id="([^"]+)">', text)
            found |= dict(zip(parts[1::2], parts[2::2], strict=True))
    return found


def bare(text):
    """The text without its tags."""
    return html.unescape(re.sub("<[^>]+>", "", text))


# Links --------------------------------------------------------------------------------------------


def broken(pages, anchors, exists):
    """(page, link) of links that lead nowhere, and the number of links that were followed."""
    found, count = [], 0
    for page, text in pages.items():
        for link in {target for _, target in LINK.findall(text)}:
            link = html.unescape(link)
            if EXTERNAL.match(link):
                continue
            count += 1
            name, _, anchor = link.partition("#")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(name)))
            path = page if not name else path
            if path in pages:
                here = not anchor or unquote(anchor) in anchors[path] or anchor == "__"
                found += [] if here else [(page, link)]
            elif not exists(path) or anchor not in ("", "only-light", "only-dark"):
                found.append((page, link))
    return found, count


def test_every_link_leads_somewhere(site, pages, anchors):
    found, count = broken(pages, anchors, lambda path: (site / path).exists())
    print(f"{count} links on {len(pages)} pages")
    assert found == []
    assert count > 20_000


def test_a_broken_link_is_found():
    pages = {"a/b.html": '<a href="../c.html#there"></a> <a href="../c.html#gone"></a>'
             '<img src="x.png"> <a href="#self"></a> <a href="https://example.org"></a>',
             "c.html": '<p id="there"></p>'}  # fmt: skip
    anchors = {path: set(ID.findall(text)) for path, text in pages.items()}
    found, count = broken(pages, anchors, lambda path: False)
    assert (sorted(found), count) == (
        [("a/b.html", "#self"), ("a/b.html", "../c.html#gone"), ("a/b.html", "x.png")], 4
    )  # fmt: skip


def test_a_warning_of_mkdocs_stops_the_build(tmp_path):
    from importlib.util import module_from_spec, spec_from_file_location

    from mkdocs.exceptions import Abort

    spec = spec_from_file_location("site_main", ROOT / "docs" / "site" / "__main__.py")
    main = module_from_spec(spec)
    spec.loader.exec_module(main)
    (tmp_path / "in" / "assets").mkdir(parents=True)
    (tmp_path / "in" / "index.md").write_text("# One\n\n[gone](two.md)\n")
    with pytest.raises(Abort, match="1 warnings"):
        main.run_mkdocs(tmp_path / "in", tmp_path / "out", [{"Home": "index.md"}])


# Names --------------------------------------------------------------------------------------------


def stub_names():
    """What type checkers are told is public: of the package, of Tensor, of the schedulers."""
    import tinygrad_opt

    package = ROOT / "tinygrad_opt"
    top = (package / "__init__.pyi").read_text()
    names = re.findall(r"^(?:def (\w+)|from \.\S+ import \w+ as (\w+)|(\w+): )", top, re.MULTILINE)
    found = {f"tinygrad_opt.{name}" for group in names for name in group if name}
    bound = (package / "core" / "bound.pyi").read_text().split("\nclass _Bound", 1)[-1]
    methods = set(re.findall(r"^    def (\w+)\(", bound, re.MULTILINE))
    schedulers = (package / "optim" / "lr_scheduler" / "decay.pyi").read_text()
    classes = re.findall(r"^class (\w+)", schedulers, re.MULTILINE)
    found |= {
        f"tinygrad_opt.Tensor.{name}" for name in methods if hasattr(tinygrad_opt.Tensor, name)
    }
    found |= {f"tinygrad_opt.optim.lr_scheduler.{name}" for name in classes}
    found -= {f"tinygrad_opt.{n}" for n in dir(tinygrad_opt)
              if inspect.ismodule(getattr(tinygrad_opt, n))}  # fmt: skip
    return {name for name in found if not name.rsplit(".", 1)[-1].startswith("_")}


PUBLIC = sorted(NAMES.keys() | stub_names())


def test_the_stubs_name_what_the_documented_names_leave_out():
    assert {"tinygrad_opt.float32", "tinygrad_opt.matmul", "tinygrad_opt.Tensor.matmul",
            "tinygrad_opt.optim.lr_scheduler.CosineAnnealingLR"} <= stub_names()  # fmt: skip


def test_every_public_name_stands_on_the_site(anchors):
    there = set().union(*(ids for path, ids in anchors.items() if path.startswith("reference/")))
    print(f"{len(PUBLIC)} names")
    assert [name for name in PUBLIC if name not in there] == []


def test_every_public_name_is_found_by_search(index, entries):
    """Under a heading of its own; if it is a base class's, under the heading that it links to."""
    headed = {
        location.partition("#")[2]: title.split(".")[-1]
        for location, (title, _) in index.items()
        if location.startswith("reference/")
    }
    links = {}
    for text in entries.values():
        links |= dict(re.findall(r'<a id="([^"]+)" href="[^"#]*#([^"]+)">', text))
    in_table = set(re.split(r"<[^>]+>|\s+", index["reference/types.html#constants"][1]))
    missing = [
        name for name in PUBLIC
        if (last := name.rsplit(".", 1)[-1]) != headed.get(links.get(name, name))
        and last not in in_table
    ]  # fmt: skip
    assert missing == []
    assert len(in_table & {"float32", "inf", "channels_last"}) == 3


def test_the_search_splits_names_as_they_are_asked_for(site):
    found = json.loads((site / "search" / "search_index.json").read_text())
    parts = re.split(found["config"]["separator"], "nn.functional.cross_entropy(input, 1.5)")
    assert [part for part in parts if part] == ["nn", "functional", "cross_entropy", "input", "1.5"]
    assert found["config"]["pipeline"] == []  # no stemmer: `all`, `where` and `is_tensor` are names


# What a page shows --------------------------------------------------------------------------------


def test_an_entry_has_formula_arguments_errors_source_and_example(entries):
    adam = entries["tinygrad_opt.optim.Adam"]
    assert adam.count("<math") == 4
    assert '<th><code>betas</code> <span class="default">= (0.9, 0.999)</span></th>' in adam
    assert '<p class="told raises"><b>Raises</b> ValueError for settings out of range.</p>' in adam
    assert '<a href="https://arxiv.org/abs/1412.6980">' in adam
    assert re.search(r'href="\.\./source/tinygrad_opt\.optim\.adam\.py\.html#L\d+"', adam)
    assert "tensor([0.9000], requires_grad=True)" in bare(adam)
    assert "<msup><mi>e</mi>" in entries["tinygrad_opt.expm1"]
    assert "<math" not in entries["tinygrad_opt.bitwise_xor"]  # whose ^ is not a power


ABSTRACT = {"optim.Optimizer", "nn.RNNBase", "nn.RNNCellBase", "nn.UninitializedBuffer"}


def test_every_layer_loss_optimizer_and_scheduler_has_an_example(entries):
    kinds = nn.Module, optim.Optimizer, optim.lr_scheduler.LRScheduler
    without, seen = [], 0
    for name in PUBLIC:
        value = attrgetter(name.removeprefix("tinygrad_opt."))(tinygrad_opt)
        if inspect.isclass(value) and issubclass(value, kinds) and name in entries:
            seen += 1
            if "&gt;&gt;&gt;" not in entries[name] and 'class="same"' not in entries[name]:
                without.append(name.removeprefix("tinygrad_opt."))
    assert seen > 200
    assert set(without) <= ABSTRACT


@pytest.mark.parametrize(
    ("name", "line"),
    [("nn.Linear", "class Linear(Module):"), ("conv2d", "def conv2d("), ("exp", "def exp(x"),
     ("Tensor.backward", "def backward("), ("kernels.adam", "def adam(p, g, m, v")],
)  # fmt: skip
def test_source_links_lead_to_the_definition(pages, entries, name, line):
    link = re.search(r'href="\.\./(source/[^"#]+)#(L\d+)"', entries[f"tinygrad_opt.{name}"])
    from_there = pages[link[1]].split(f'id="{link[2]}"')[1]
    assert line in bare(from_there)[:200]


def test_every_name_that_is_told_has_its_source(entries):
    told = [name for name in PUBLIC if name in entries]
    assert len(told) > 2_500
    without = [name for name in told if 'class="source"' not in entries[name]]
    # Attributes that C reads, without a line of Python.
    assert without == ["tinygrad_opt.Tensor.requires_grad"]


def test_the_gallery_shows_every_example(pages):
    names = {p.stem for p in (ROOT / "examples").glob("*.py")} - {"common", "pictures"}
    assert {f"gallery/{name}.html" for name in names} <= pages.keys()
    for name in names:
        assert f'href="{name}.html"' in pages["gallery/index.html"]


def test_pages_of_the_repository_are_pages_of_the_site(pages):
    written = [p for folder in ("docs", "examples", "benchmarks/results")
               for p in (ROOT / folder).glob("*.md")]  # fmt: skip
    for file in [*written, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]:
        path = file.relative_to(ROOT).with_suffix(".html").as_posix()
        assert path.replace("README", "index") in pages, path
    assert "The reading path" in pages["index.html"]


# Nothing from afar --------------------------------------------------------------------------------


def remote(text):
    """What a page would load from another host: everything but links that a reader follows."""
    found = [link for tag, link in LINK.findall(text) if tag != "a" and EXTERNAL.match(link)]
    found = [link for link in found if not link.startswith("data:")]
    for config in re.findall(r'<script id="__config"[^>]*>(.*?)</script>', text):
        found += re.findall(r"(?:https?:)?//[\w.-]+", config)
    styles = "".join(re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL))
    return found + [url for url in IN_CSS.findall(styles) if EXTERNAL.match(url)]


def test_no_page_loads_anything_from_another_host(site, pages):
    assert {path: found for path, text in pages.items() if (found := remote(text))} == {}
    for style in site.rglob("*.css"):
        for url in IN_CSS.findall(style.read_text()):
            assert not EXTERNAL.match(url), (style, url)
            assert (style.parent / url.partition("#")[0]).exists(), (style, url)
    # The theme's script would fetch a renderer for these, and figures of a repository.
    assert not any('class="mermaid"' in text or "data-md-component=\"source\"" in text
                   for text in pages.values())  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ['<script src="https://cdn.example.org/x.js"></script>', '<img alt="" src="//host/x.png">',
     '<link rel="stylesheet" href="https://fonts.example.org/css">',
     "<style>@import 'https://host/x.css'</style>", "<style>a{background:url(http://h/x)}</style>",
     '<script id="__config" type="application/json">{"search": "https://host/x.js"}</script>'],
    ids=["script", "picture", "sheet", "import", "background", "config"],
)  # fmt: skip
def test_what_comes_from_afar_is_found(text):
    assert remote(text)
    assert not remote('<a href="https://example.org">to follow</a>')
