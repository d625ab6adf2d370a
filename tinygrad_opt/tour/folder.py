"""The reader's folder: exercises as they were laid, and which are solved."""

from __future__ import annotations

import hashlib
import json
import os
from importlib import resources
from pathlib import Path

from .chapters import Chapter

__all__ = ["Folder"]


class Folder:
    """A folder of exercises.

    Nothing that the reader wrote is ever written over: `lay` leaves a file that is there.
    """

    def __init__(self, path: str) -> None:
        """Name the folder; it is made when something is laid there. ValueError for a file."""
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"tour: --folder must name a folder, got the file {path}")
        self._noted = self.path / "progress.json"

    def exercise(self, chapter: Chapter) -> Path:
        """Where the exercise of a chapter lies, or will lie."""
        return self.path / chapter.exercise

    def lay(self, chapter: Chapter) -> bool:
        """Lays the exercise unless it is there; whether it was laid."""
        path = self.exercise(chapter)
        self.path.mkdir(parents=True, exist_ok=True)
        if chapter.number == 1:
            self._lay_hundred_lines()
        if path.exists():
            return False
        path.write_text(chapter.stub, encoding="utf-8")
        return True

    def _lay_hundred_lines(self) -> None:
        """A copy for the reader to change; the exercise uses the package's own."""
        copy = self.path / "hundred_lines.py"
        if not copy.exists():
            text = (resources.files(__package__) / "hundred_lines.py").read_text(encoding="utf-8")
            copy.write_text(text, encoding="utf-8")

    def state(self, chapter: Chapter) -> str:
        """One of "solved", "changed" (since it was solved), "laid" and "new"."""
        path = self.exercise(chapter)
        if not path.is_file():
            return "new"
        solved = self._solved().get(chapter.slug)
        if solved is None:
            return "laid"
        return "solved" if solved == _print_of(path) else "changed"

    def note(self, chapter: Chapter, solved: bool) -> None:
        """Keeps that an exercise is solved as it stands, or no longer."""
        known = self._solved()
        known.pop(chapter.slug, None)
        if solved:
            known[chapter.slug] = _print_of(self.exercise(chapter))
        part = self._noted.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(part, self._noted)  # two checks at once leave the one or the other

    def _solved(self) -> dict[str, str]:
        """Slug -> what the file was when it was solved; nothing if the note cannot be read."""
        try:
            known = json.loads(self._noted.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def _print_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
