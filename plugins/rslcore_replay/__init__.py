"""Replay storage as an rslcore plugin."""
