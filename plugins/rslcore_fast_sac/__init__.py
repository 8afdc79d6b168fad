"""Soft actor-critic for parallel simulation as an rslcore plugin."""
