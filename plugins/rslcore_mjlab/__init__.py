"""mjlab's tasks as an rslcore plugin."""
