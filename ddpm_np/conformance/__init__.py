"""Property tests for diffusion code, this package's or yours."""
