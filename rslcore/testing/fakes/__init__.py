"""An env and an extension to stand around a component in a test; a plugin that no entry point names."""
