"""Action distributions as an rslcore plugin."""
