"""Training on a CUDA device that never waits for it."""
