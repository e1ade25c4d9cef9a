"""Durable files: written whole or not at all, forced to the disk, listed in manifests, locked; names of places."""
