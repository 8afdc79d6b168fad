"""MuJoCo Playground's tasks as an rslcore plugin."""
