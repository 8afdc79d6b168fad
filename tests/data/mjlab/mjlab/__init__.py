"""Stands in for mjlab, which only `tox -e mjlab` installs: the names that the plugin asks for, as they are there."""
