"""What code written for PyTorch finds: longer paths, global settings, what to use instead."""
