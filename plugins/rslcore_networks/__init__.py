"""Networks as an rslcore plugin."""
