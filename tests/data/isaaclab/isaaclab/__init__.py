"""Stands in for Isaac Lab, which needs a GPU: the names that the plugin asks for, with the meaning they have there."""
