"""Wrappers for learning libraries."""
