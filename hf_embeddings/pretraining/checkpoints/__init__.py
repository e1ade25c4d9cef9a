"""Checkpoints: durable states of a run, where they lie and how a run resumes from them."""
