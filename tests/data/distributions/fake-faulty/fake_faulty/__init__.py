"""A plugin whose components are all at fault."""
