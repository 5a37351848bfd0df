"""What the hand-written network costs and what it learns: parity with PyTorch first, then the
clock, then the twenty runs.

``python -m benchmarks`` checks parity and times; ``python -m benchmarks learning`` trains. The
package does not need this folder.
"""
