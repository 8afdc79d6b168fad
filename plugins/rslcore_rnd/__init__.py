"""Random network distillation as an rslcore plugin: `plugin` declares it, `config` types it, `extension` is it."""
