"""A model or an index over HTTP: embeddings as OpenAI's clients ask for them, reranking, search, a page."""
