"""A distribution with commands and computed recipes."""
