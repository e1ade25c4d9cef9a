"""The published room: the code that travels with every checkpoint. Flat, and importing torch and transformers only."""
