"""A run on disk and in memory: its folder, its checkpoints, its session."""
