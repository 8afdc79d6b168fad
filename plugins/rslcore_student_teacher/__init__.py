"""Student and teacher as an rslcore plugin."""
