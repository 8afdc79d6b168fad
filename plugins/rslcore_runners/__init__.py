"""Runners as an rslcore plugin."""
