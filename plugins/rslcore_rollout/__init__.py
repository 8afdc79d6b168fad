"""Rollout storage as an rslcore plugin."""
