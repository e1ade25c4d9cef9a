"""One page that walks a sentence through an encoder: pieces, the three vectors, attention, layers, prediction."""
