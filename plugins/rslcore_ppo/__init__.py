"""Proximal policy optimization as an rslcore plugin: `plugin` declares it, `config` types it, `ppo` is it."""
