"""What writes parts of the documentation: the reference from the code, and copies of files that pages link to."""
