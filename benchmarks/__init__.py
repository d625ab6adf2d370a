"""How fast tinygrad_opt is beside PyTorch and JAX: `python -m benchmarks`, or `make bench`."""
