"""Search by meaning: texts to vectors, vectors to an index on disk, queries to ranked passages."""
