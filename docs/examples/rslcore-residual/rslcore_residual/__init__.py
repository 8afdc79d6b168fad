"""A residual network as an rslcore plugin."""
