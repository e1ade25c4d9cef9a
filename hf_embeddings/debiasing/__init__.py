"""Bias directions taken out of a model, and what that changes."""
