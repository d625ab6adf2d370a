"""What `export` raises where a model cannot be written as a graph."""

from __future__ import annotations

__all__ = ["OnnxExporterError", "UnsupportedOperatorError"]


class OnnxExporterError(RuntimeError):
    """The model cannot be exported; the message says what it does, and what to write instead."""

    def __init__(self, text: str) -> None:
        prefix = "onnx.export: "
        super().__init__(prefix + text.removeprefix(prefix))


class UnsupportedOperatorError(OnnxExporterError):
    """The model uses an operation that has no form in the graph."""
