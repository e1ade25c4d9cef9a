"""Load a saved model: its config, tokenizer, weights and card are checked, and code beside them is never run."""
