"""Processes that load batches ahead."""
