"""Training: the loop, and everything that a step needs."""
