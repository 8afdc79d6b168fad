"""Symmetry as an rslcore plugin."""
