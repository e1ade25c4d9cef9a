"""Train sentence encoders: options, pairs of texts, losses of sentence-transformers, held-out figures."""
