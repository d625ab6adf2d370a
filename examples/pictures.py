"""How all pictures look: one set of fonts, sizes and colours, on light paper and on dark.

    for look in looks(path, dark=True):  # `path` on light paper, then NAME_dark.png on dark
        figure = look.figure(8, 4, "A title")
        axes = figure.subplots()
        axes.plot(x, y, color=BLUE)
        look.save(figure)

A page shows the one that fits the reader's screen: HTML's <picture>, as README.md has it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

# Colours by their place in matplotlib's cycle: what they are, the paper says they are drawn on.
BLUE, ORANGE, GREEN, RED, PURPLE, INK, GREY, PALE, PAPER = (f"C{i}" for i in range(9))

# In this order. Whoever sees no red, no green or no blue can tell the first five apart, and each
# stands out from its paper: tests/test_pictures.py computes both.
COLORS = {
    "light": ["#1449c2", "#e8690b", "#1f9e7a", "#8a2320", "#bb6fcc",
              "#1d2733", "#5d6874", "#c5ccd3", "#ffffff"],
    "dark": ["#4a88ff", "#ffd557", "#5fe3ae", "#e5534a", "#f17cd0",
             "#e6edf3", "#9aa5b1", "#444c56", "#0d1117"],
}  # fmt: skip
GRID = {"light": "#edf0f3", "dark": "#21262d"}
DPI = 220


@dataclass(frozen=True)
class Look:
    """One kind of paper, and the file of the picture on it."""

    name: str
    path: Path

    def settings(self) -> dict[str, Any]:
        """What matplotlib is told."""
        colors = COLORS[self.name]
        ink, grey, pale, paper = colors[5:]
        return {
            "axes.axisbelow": True,
            "axes.edgecolor": pale,
            "axes.facecolor": paper,
            "axes.grid": True,
            "axes.labelcolor": grey,
            "axes.prop_cycle": mpl.cycler(color=colors),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 12,
            "figure.dpi": DPI,
            "figure.facecolor": paper,
            "figure.titlesize": 15,
            "font.family": "DejaVu Sans",  # comes with matplotlib
            "font.size": 10,
            "grid.color": GRID[self.name],
            "image.cmap": f"ink_on_{self.name}",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.solid_capstyle": "round",
            "text.color": ink,
            "xtick.bottom": False,
            "xtick.color": grey,
            "ytick.color": grey,
            "ytick.left": False,
            "ytick.minor.left": False,
        }

    def hexadecimal(self, color: str) -> str:
        """A colour of this file as it is on this paper."""
        return COLORS[self.name][int(color[1:])]

    def shades(self, *colors: str) -> LinearSegmentedColormap:
        """Return a colour map from the paper to the ink, to a colour, or through several."""
        through = (PAPER, *(colors or (INK,))) if len(colors) < 2 else colors
        return LinearSegmentedColormap.from_list("shades", [*map(self.hexadecimal, through)])

    def figure(self, width: float, height: float, title: str = "", **settings: Any) -> Figure:
        """Return an empty figure of so many inches."""
        figure = Figure(figsize=(width, height), **{"layout": "constrained", **settings})
        if title:
            figure.suptitle(title, x=0.01, ha="left")
        return figure

    def save(self, figure: Figure, count: int = 64) -> None:
        """Save a figure as a small PNG of so many colours."""
        few = fewer_colors(pixels(figure), count)
        written = io.BytesIO()
        few.save(written, "PNG", optimize=True)
        self.path.write_bytes(written.getvalue())


for paper in COLORS:  # for images, which are given the name of a colour map
    mpl.colormaps.register(Look(paper, Path()).shades(), name=f"ink_on_{paper}")


def looks(path: Path, dark: bool) -> Iterator[Look]:
    """The light look for `path`, and if asked the dark one beside it; matplotlib is set to each."""
    for name in ("light", "dark") if dark else ("light",):
        look = Look(name, dark_name(path) if name == "dark" else path)
        with mpl.rc_context(look.settings()):
            yield look


def dark_name(path: Path) -> Path:
    """The file of the same picture on dark paper."""
    return path.with_stem(f"{path.stem}_dark")


def bare(axes: Any) -> None:
    """Take away ticks and grid: for maps and images."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def pixels(figure: Figure) -> Image.Image:
    """What a figure looks like now, in true colours."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.array(canvas.buffer_rgba())).convert("RGB")


def fewer_colors(image: Image.Image, count: int) -> Image.Image:
    """The same picture with a palette, which keeps thin coloured lines and makes a small file."""
    # One half of the colours for what covers much, the other for what covers little: thin lines.
    # The paper's comes first, as it is, so that a picture does not stand out from its page.
    paper = image.getpixel((0, 0))
    common = image.quantize(count // 2 - 1, method=Image.Quantize.MEDIANCUT).getpalette() or []
    rare = image.quantize(count // 2, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    return paint(image, [*paper, *common[: 3 * (count // 2 - 1)], *rare[: 3 * (count // 2)]])


def paint(image: Image.Image, palette: list[int]) -> Image.Image:
    """The picture in a palette's colours (red, green, blue, red, ...), the first the paper's."""
    colors = Image.new("P", (1, 1))
    colors.putpalette(palette)
    painted = image.quantize(palette=colors, dither=Image.Dither.NONE)
    # Pillow takes a colour that is nearly the nearest; paper is to be itself.
    indices = np.array(painted)
    indices[(np.array(image) == palette[:3]).all(axis=2)] = 0
    exact = Image.fromarray(indices, "P")
    exact.putpalette(palette)
    return exact
