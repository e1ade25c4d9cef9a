"""Pretraining: corpus -> documents -> pairs -> masking -> objective -> loop -> a directory ready for the Hub."""
