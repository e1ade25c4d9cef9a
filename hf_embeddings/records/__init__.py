"""Records: what passes between rooms, as dataclasses that JSON holds."""
