"""Adversarial motion priors as an rslcore plugin: `plugin` declares them, `config` types them, `extension` is them."""
