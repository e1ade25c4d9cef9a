"""The published room: the code that travels with every checkpoint. Flat, and importing torch and transformers only."""

import transformers  # noqa: F401  first, because TriEmbed registers right after it, and then imports this room as a whole
