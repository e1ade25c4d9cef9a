"""What may leave the machine: files of known kinds, each opened by its parser; others if they are named."""
