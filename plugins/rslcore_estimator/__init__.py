"""An estimator of what only training sees: `plugin` declares it, `config` types it, `extension` is it."""
