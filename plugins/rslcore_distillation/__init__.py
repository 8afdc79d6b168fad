"""Distillation as an rslcore plugin: `plugin` declares it, `config` types it, `distillation` is it."""
