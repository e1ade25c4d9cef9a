"""Corpora: from the name of a source to documents, sentences and token ids."""
