"""The extension `novelty`, a plugin for rslcore."""
