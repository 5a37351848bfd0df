"""What the learner stands on: layers, optimizer, checkpoints, random numbers."""
