"""From the source of an update rule to kernels: read, check, write, compile, cache."""
