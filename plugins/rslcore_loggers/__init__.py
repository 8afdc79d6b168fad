"""Loggers as an rslcore plugin."""
