"""What embeddings look like: arrays in, figures and self-contained pages out."""
