"""Ends the process when it is imported."""

raise SystemExit("needs a display")
