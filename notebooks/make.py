"""Makes the notebooks of the tour's first chapters from the texts that the command shows.

python notebooks/make.py            # writes notebooks/*.ipynb; needs nbformat
python notebooks/make.py --check    # exit 1 if one differs from its chapter
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tinygrad_opt.tour.chapters import Chapter, chapters

HERE = Path(__file__).parent
COUNT = 4
BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)

FOLDER = """\
from tinygrad_opt.tour.chapters import chapter
from tinygrad_opt.tour.folder import Folder

Folder("tiny_tour").lay(chapter({number}))  # as `python -m tinygrad_opt tour {number}` does
"""

EXERCISE = """\
Write your answer into the second cell below: running it writes the file `{path}`. The cell after it
has the file judged, by the same command as in a terminal.
"""

CHECK = """\
import sys

!{{sys.executable}} -m tinygrad_opt tour check {number}
"""


def notebook(chapter: Chapter) -> nbformat.NotebookNode:
    """The chapter: its text, its examples as cells, the exercise, the check, the answers."""
    path = f"tiny_tour/{chapter.exercise}"
    parts = BLOCK.split(f"# {chapter.number}. {chapter.title}\n\n{chapter.text}")
    cells = [
        (new_code_cell if i % 2 else new_markdown_cell)(part.strip())
        for i, part in enumerate(parts)
    ]
    cells += [
        new_markdown_cell(EXERCISE.format(path=path).strip()),
        new_code_cell(FOLDER.format(number=chapter.number).strip()),
        new_code_cell(f"%%writefile {path}\n{chapter.stub}".strip()),
        new_code_cell(CHECK.format(number=chapter.number).strip()),
        new_markdown_cell(
            f"<details><summary>Answers</summary>\n\n{chapter.answers}\n\n</details>"
        ),
    ]
    for i, cell in enumerate(cells):
        cell["id"] = f"{chapter.slug}-{i}"  # nbformat's own are drawn at random
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def path_of(chapter: Chapter) -> Path:
    """Where its notebook lies."""
    return HERE / f"{chapter.number:02}_{chapter.slug}.ipynb"


def main(*arguments: str) -> int:
    """Writes the notebooks, or compares them with what would be written."""
    old = []
    for chapter in chapters()[:COUNT]:
        made, path = notebook(chapter), path_of(chapter)
        nbformat.validate(made)
        text = nbformat.writes(made) + "\n"
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            old.append(path.name)
    if old:
        print(f"outdated: {', '.join(old)}; run python notebooks/make.py")
    return len(old)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
