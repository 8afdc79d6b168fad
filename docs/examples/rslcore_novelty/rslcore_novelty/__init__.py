"""A reward for novel observations as an rslcore plugin."""
