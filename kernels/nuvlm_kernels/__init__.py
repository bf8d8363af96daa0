"""Compiled kernels: plain arrays in, arrays out, nothing of the project imported."""
