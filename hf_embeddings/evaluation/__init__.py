"""Evaluation: measures on models and files."""
