"""How a module prints: its name, `extra_repr`, and the modules below it."""

from __future__ import annotations

from .registry import MODULE, Registry

__all__ = ["Text"]


class Text(Registry):
    """What Module inherits for its text."""

    def extra_repr(self) -> str:
        """The text between the parentheses of the repr; subclasses override it."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __dir__(self) -> list[str]:
        return sorted(name for name in object.__dir__(self) if not name[:1].isdigit())

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._own(MODULE)
        ]
        if not children and len(lines) < 2:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"
