"""The command `hf-embeddings`."""
