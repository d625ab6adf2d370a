"""Kernels of single operations: loops over rows and windows that NumPy has no call for."""
