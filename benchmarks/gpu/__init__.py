"""What a real GPU says of the device path: `python -m benchmarks.gpu`, or `make gpu-check`."""
