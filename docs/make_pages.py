"""Makes optimizers.md, schedulers.md and their pictures, from_pytorch.md's lists, and tour.md.

python docs/make_pages.py            # texts and pictures; make docs does this
python docs/make_pages.py --texts    # texts alone
python docs/make_pages.py --check    # exit 1 if a text differs from what the docstrings say
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from pathlib import Path

import numpy as np

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.optim import lr_scheduler
from tinygrad_opt.tour.chapters import chapters

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))  # common.py, and how pictures look

import common  # noqa: E402
import porting_lists  # noqa: E402

PICTURES = HERE / "images" / "optimizers"
STEPS = 200

# Learning rates for the pictures: by hand, so that the path shows what the method is like.
SETTINGS: dict[str, dict] = {
    "SGD": {"lr": 0.002, "momentum": 0.9}, "Adam": {"lr": 0.1}, "AdamW": {"lr": 0.1},
    "Adamax": {"lr": 0.15}, "NAdam": {"lr": 0.1}, "Adagrad": {"lr": 0.5},
    "RAdam": {"lr": 0.02, "betas": (0.9, 0.9)},
    "Adadelta": {"lr": 5.0}, "RMSprop": {"lr": 0.02}, "Rprop": {"lr": 0.05},
    "ASGD": {"lr": 0.01}, "Adafactor": {"lr": 0.1},
    "LBFGS": {"max_iter": 4, "line_search_fn": "strong_wolfe"},
    "Muon": {"lr": 0.03}, "SparseAdam": {"lr": 0.1}, "Lion": {"lr": 0.03}, "LAMB": {"lr": 0.06},
    "LARS": {"lr": 0.5, "trust_coefficient": 0.02}, "Adan": {"lr": 0.1}, "ADOPT": {"lr": 0.1},
    "AdaBelief": {"lr": 0.1}, "Prodigy": {"d0": 1e-3, "d_coef": 0.2}, "SOAP": {"lr": 0.1},
    "SGDScheduleFree": {"lr": 0.02}, "AdamWScheduleFree": {"lr": 0.2},
}  # fmt: skip
FROM_PYTORCH = (
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop",
    "ASGD", "Adafactor", "Muon", "SparseAdam", "LBFGS",
)  # fmt: skip


def paragraphs(cls: type) -> list[str]:
    """The docstring's paragraphs without its runnable example."""
    text = re.split(r"\n\s*>>> ", inspect.cleandoc(cls.__doc__ or ""))[0]
    return [part for part in text.strip().split("\n\n") if part.strip()]


def section(cls: type, picture: str | None) -> str:
    """A heading, the sentence, the formula, settings and sources as they stand in the docstring."""
    first, *rest = paragraphs(cls)
    lines = [f"### {cls.__name__}", "", first, ""]
    if picture:
        text = f"The path of {cls.__name__} through Rosenbrock's valley"
        lines += [common.picture_tag(picture, text, 360), ""]
    lines += ["```text", "\n\n".join(inspect.cleandoc(part) for part in rest), "```", ""]
    return "\n".join(lines)


def optimizers() -> list[type]:
    found = [getattr(optim, name) for name in optim.__all__]
    return [c for c in found if inspect.isclass(c) and c is not optim.Optimizer]


def optimizers_page() -> str:
    known = {cls.__name__: cls for cls in optimizers()}
    beyond = sorted((n for n in known if n not in FROM_PYTORCH), key=str.lower)
    textbook = [getattr(optim.textbook, name) for name in optim.textbook.__all__]
    parts = [
        "# Optimizers",
        "",
        "Made by `docs/make_pages.py` from the docstrings. Each picture is the path over 200 steps "
        "(LBFGS: as many as it needs) through Rosenbrock's valley, from (-1.5, 2) to the minimum "
        "at (1, 1), in full gradients and with a learning rate chosen by hand: it shows the "
        "character of a method, not its worth.",
        "",
        "`weight_decay`, `maximize`, `foreach`, `fused`, `capturable` and the names in `state` are "
        "PyTorch's. Whatever is element-wise is one [fused kernel](kernels.md).",
        "",
        "## From torch.optim",
        "",
    ]
    parts += [section(known[n], f"images/optimizers/{n}.png") for n in FROM_PYTORCH if n in known]
    parts += ["## Beyond PyTorch", ""]
    parts += [section(known[n], f"images/optimizers/{n}.png") for n in beyond]
    parts += ["## As textbooks print them: `optim.textbook`", ""]
    parts += [section(cls, None) for cls in textbook]
    return "\n".join(parts)


def schedulers_page() -> str:
    found = [getattr(lr_scheduler, name) for name in lr_scheduler.__all__]
    classes = sorted((c for c in found if inspect.isclass(c)), key=lambda c: c.__name__.lower())
    parts = [
        "# Schedulers",
        "",
        "Made by `docs/make_pages.py` from the docstrings. Every schedule is a pure function of "
        "the step in `optim.schedules`, to be called, drawn and tested without an optimizer; the "
        "classes in `optim.lr_scheduler` apply it. An epoch is one call of `scheduler.step()`.",
        "",
        common.picture_tag("images/schedules.png", "All schedules", 880),
        "",
    ]
    return "\n".join([*parts, *(section(cls, None) for cls in classes)])


# Pictures -----------------------------------------------------------------------------------------


def rosenbrock(x, y):
    return (1 - x) ** 2 + 10 * (y - x * x) ** 2


def path(cls: type) -> np.ndarray:
    """The points that an optimizer visits, (steps, 2)."""
    tg.manual_seed(0)
    p = tg.tensor([[-1.5, 2.0]], dtype=tg.float64, requires_grad=True)  # a matrix, for Muon
    optimizer = cls([p], **SETTINGS.get(cls.__name__, {}))
    if hasattr(optimizer, "train"):  # schedule-free
        optimizer.train()
    points = [p.detach().numpy().ravel().copy()]

    def closure():
        optimizer.zero_grad()
        row = nn.functional.embedding(tg.tensor([0]), p, sparse=cls.__name__ == "SparseAdam")
        loss = rosenbrock(row[0, 0], row[0, 1])
        loss.backward()
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)
        points.append(p.detach().numpy().ravel().copy())
    return np.array(points)


def draw(cls: type) -> None:
    from pictures import BLUE, INK, PALE, RED, bare, looks

    points = path(cls)
    x, y = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1, 3, 200))
    value = rosenbrock(*points[-1])
    settings = ", ".join(f"{k}={v}" for k, v in SETTINGS.get(cls.__name__, {}).items())
    for look in looks(PICTURES / f"{cls.__name__}.png", dark=True):
        figure = look.figure(3.6, 3.0, dpi=160)
        axes = figure.subplots()
        axes.contour(x, y, np.log1p(rosenbrock(x, y)), levels=14, colors=PALE, linewidths=0.8)
        axes.plot(*points.T, color=BLUE, linewidth=1.2, marker=".", markersize=3)
        axes.plot(*points[0], "o", color=INK, markersize=5)
        axes.plot(1, 1, "*", color=RED, markersize=11)
        axes.set_title(f"{cls.__name__}({settings})\nends at {value:.1e}", fontsize=8)
        axes.set(xlim=(-2, 2), ylim=(-1, 3))
        bare(axes)
        axes.spines[:].set_visible(False)
        look.save(figure, 32)


def from_pytorch_page() -> str:
    return porting_lists.page((HERE / "from_pytorch.md").read_text())


TOUR = """# A guided tour

Made by `docs/make_pages.py` from the chapters that `python -m tinygrad_opt tour` shows. It begins
with autograd in a hundred lines, then reads the source in the order of the
[reading path](../README.md#the-reading-path), and ends at the assembly. Each chapter has an
exercise, which is laid as a file, and judged:

    python -m tinygrad_opt tour            # the chapters, and which are solved
    python -m tinygrad_opt tour 3          # the text of chapter 3; lays tiny_tour/03_graph.py
    python -m tinygrad_opt tour check 3    # what is expected, what came, and where to look

Nothing is needed but the package. The first chapters are [notebooks](../notebooks) as well.
"""


def tour_page() -> str:
    parts = [TOUR]
    for c in chapters():
        text = re.sub(r"^##", "###", c.text, flags=re.MULTILINE)
        parts.append(f"## {c.number}. {c.title}\n\n{text}\n```py\n{c.stub}```\n")
        parts.append(f"<details><summary>Answers</summary>\n\n{c.answers}\n\n</details>\n")
    return "\n".join(parts)


PAGES = {
    "optimizers.md": optimizers_page, "schedulers.md": schedulers_page,
    "from_pytorch.md": from_pytorch_page, "tour.md": tour_page,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if outdated")
    parser.add_argument("--texts", action="store_true", help="write the texts, and draw nothing")
    asked = parser.parse_args()
    if asked.check:
        old = [name for name, page in PAGES.items() if (HERE / name).read_text() != page()]
        print(f"outdated: {', '.join(old)}; run make docs" if old else "up to date")
        return len(old)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
    for cls in [] if asked.texts else optimizers():
        draw(cls)
    return 0


if __name__ == "__main__":
    sys.exit(main())
