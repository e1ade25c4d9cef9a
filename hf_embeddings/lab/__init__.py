"""Labs: runs that compare, and their reports."""
