"""Isaac Lab's tasks as an rslcore plugin."""
