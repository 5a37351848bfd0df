"""Public diffusion code, checked: ``python -m benchmarks.conformance``."""
