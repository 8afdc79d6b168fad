"""A robot with several discrete actions: `plugin` declares the recipe, `envs` registers the env with Gymnasium."""
