"""Tests of the documentation: README, docs, notebooks."""
