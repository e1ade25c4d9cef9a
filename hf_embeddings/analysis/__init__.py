"""What embeddings are worth, in numbers: arrays in, numbers out."""
