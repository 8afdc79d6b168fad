"""Envs over Genesis as an rslcore plugin."""
