"""From an encoder to an embedding model: smaller, in another language, or a static table."""
