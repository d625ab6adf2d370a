"""What the examples share: their command line, and how their pictures look."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

INK, GREY, PALE = "#1d2733", "#7b8794", "#cbd2d9"
BLUE, RED, GREEN, ORANGE, PURPLE = "#2166ac", "#c0392b", "#2e8b57", "#e08214", "#7b4fa3"
STYLE = {
    "figure.dpi": 110,
    "figure.titlesize": 15,
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": PALE,
    "axes.labelcolor": GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#edf0f3",
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "xtick.color": GREY,
    "xtick.bottom": False,
    "ytick.color": GREY,
    "ytick.left": False,
    "ytick.minor.left": False,
}


def command_line(text: str, picture: str) -> argparse.ArgumentParser:
    """A parser that knows --quick and --out; `text` is the docstring of the example."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short form, for a few seconds")
    parser.add_argument("--out", type=Path, default=Path(picture), help="the picture")
    return parser


def pixels(figure: Figure) -> Image.Image:
    """What a figure looks like now, in true colours."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.array(canvas.buffer_rgba())).convert("RGB")


def fewer_colors(image: Image.Image, count: int) -> Image.Image:
    """The same picture with a palette, which keeps thin coloured lines and makes a small file."""
    # One half of the colours for what covers much, the other for what covers little: thin lines.
    common = image.quantize(count // 2, method=Image.Quantize.MEDIANCUT).getpalette() or []
    rare = image.quantize(count // 2, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(common[: 3 * (count // 2)] + rare[: 3 * (count // 2)])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def save(figure: Figure, path: Path) -> None:
    """Save a figure as a small PNG."""
    fewer_colors(pixels(figure), 128).save(path, "PNG", optimize=True)
