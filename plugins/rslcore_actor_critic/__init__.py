"""Actor and critic as an rslcore plugin."""
