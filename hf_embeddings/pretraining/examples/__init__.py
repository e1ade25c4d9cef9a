"""Training examples: pairs, schedule, masking and batches, as pure functions of keys."""
