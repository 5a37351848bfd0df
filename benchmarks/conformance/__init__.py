"""Public diffusion code, checked: ``python -m benchmarks.conformance`` (see docs/conformance.md)."""
