"""The pictures of the documents: both papers, colours for all eyes, files that are not large."""

import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "examples"))
import common  # noqa: E402
import pictures  # noqa: E402
from PIL import Image  # noqa: E402

FOLDERS = ("docs/images", "docs/images/optimizers", "benchmarks/results")
FILES = [
    f for folder in FOLDERS for kind in ("png", "gif") for f in (ROOT / folder).glob("*." + kind)
]
LIGHT = [file for file in FILES if not file.stem.endswith("_dark")]

# Machado, Oliveira & Fernandes 2009, IEEE TVCG 15(6): what is seen without one kind of cones, from
# linear red, green and blue.
EYES = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                 [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color):
    """Linear red, green and blue of "#rrggbb"."""
    c = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(light):
    """CIE's L*a*b* of linear red, green and blue: distances of about 2 are just seen."""
    f = np.cbrt(TO_XYZ @ np.clip(light, 0, 1) / TO_XYZ.sum(axis=1))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    """The contrast of WCAG 2: from 1 to 21."""
    a, b = sorted(float(TO_XYZ[1] @ linear(color)) for color in (one, other))
    return (b + 0.05) / (a + 0.05)


@pytest.mark.parametrize("paper", pictures.COLORS)
def test_all_eyes_can_tell_the_colors(paper):
    *families, ink, grey, _, sheet = pictures.COLORS[paper]
    for eye, seen in EYES.items():
        for one, other in itertools.combinations(families, 2):
            apart = np.linalg.norm(lab(seen @ linear(one)) - lab(seen @ linear(other)))
            assert apart > 25, (eye, one, other)
    assert min(contrast(color, sheet) for color in families) > 3
    assert min(contrast(color, sheet) for color in (ink, grey)) > 4.5


def test_a_pair_that_few_eyes_can_tell_would_be_found():
    seen = np.array(EYES["no green"])
    assert np.linalg.norm(lab(seen @ linear("#2166ac")) - lab(seen @ linear("#7b4fa3"))) < 25


def test_every_picture_is_there_on_both_papers():
    assert len(LIGHT) >= 40
    assert len(FILES) == 2 * len(LIGHT)
    for file in LIGHT:
        with Image.open(file) as light, Image.open(pictures.dark_name(file)) as dark:
            assert light.size == dark.size, file
            # The paper is the first colour of the palette, but of a page's own picture.
            if light.format == "PNG" and file.stem != "playground":
                for paper, image in (("light", light), ("dark", dark)):
                    first = "#{:02x}{:02x}{:02x}".format(*image.getpalette()[:3])
                    assert first == pictures.COLORS[paper][-1], (file, paper)


def test_pictures_are_sharp_and_small():
    assert sum(file.stat().st_size for file in FILES) < 6_000_000
    assert max(file.stat().st_size for file in FILES) < 1_000_000
    for file in LIGHT:
        with Image.open(file) as image:
            wide = 560 if file.parent.name == "optimizers" else 1200
            assert image.width >= wide, file


def test_one_file_says_how_pictures_look():
    """No other sets fonts, colours or resolution, or saves a figure."""
    own = re.compile(r"rc_context|rcParams|\.savefig\(|\bdpi=\d|cmap=\"|\"#[0-9a-fA-F]{6}\"")
    files = [*ROOT.glob("examples/*.py"), *ROOT.glob("docs/*.py"), *ROOT.glob("benchmarks/**/*.py")]
    told = {file.name for file in files if own.search(file.read_text())}
    assert told == {"pictures.py", "make_pages.py"}  # small pictures, of a resolution of their own


def test_a_page_is_told_of_both_papers():
    tag = common.picture_tag("images/race.png", "The race", 880)
    assert 'srcset="images/race_dark.png"' in tag
    assert '<img alt="The race" src="images/race.png" width="880">' in tag


def test_pages_show_pictures_by_their_tag():
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"),
             *ROOT.glob("benchmarks/results/*.md")]  # fmt: skip
    shown = {target for page in pages for target in re.findall(r'src="([^"]+)"', page.read_text())}
    assert {Path(target).name for target in shown} == {file.name for file in LIGHT}
    for page in pages:
        assert not re.search(r"!\[[^]]*\]\([^)]*\.(png|gif)\)", page.read_text()), page
