"""Gymnasium's environments as an rslcore plugin, with recipes for three of them."""
