"""Prepared corpora: tokens and examples on the disk, written once and read by any run."""
