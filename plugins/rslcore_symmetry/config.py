"""Options of symmetry."""

from __future__ import annotations

import attrs

from rslcore.config import Range, config, option


@config
class SymmetryConfig:
    """Mirrored copies of transitions. With both switches off, the mirror loss is computed for the log alone."""

    function: str = option(
        attrs.NOTHING,
        "`module:function` that mirrors: called as `function(env=env, obs=obs, actions=actions)`, either of which may "
        "be None, it returns both with the mirrored rows behind the original ones, `[K * B, ...]`.",
    )
    use_data_augmentation: bool = option(
        True, "Whether the surrogate and the value loss are taken over mirrored transitions too."
    )
    use_mirror_loss: bool = option(
        False, "Whether the policy is pulled to act on mirrored observations as mirrored actions say."
    )
    mirror_loss_coeff: float = option(1.0, "Weight of that loss.", Range(0.0))
