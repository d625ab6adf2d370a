"""Losses, a file for each kind of target; function and module stand side by side."""
