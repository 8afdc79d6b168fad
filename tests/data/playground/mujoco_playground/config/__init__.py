"""Settings of agents."""
