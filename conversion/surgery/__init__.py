"""Surgery: other positions or another vocabulary for a checkpoint, and its healing."""
