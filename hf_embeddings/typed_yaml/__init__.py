"""Options as dataclasses, read from YAML in which the field decides the type; a mistake is one line with its place."""
