"""Who trains: a table of libraries and of the ways in which they are set."""

from __future__ import annotations

import attrs

from speed.workloads import Workload

OURS, PEER = "rslcore", "rsl_rl"
"""Which the others are measured against."""


@attrs.frozen
class Contender:
    """A library, set in one way.

    Attributes:
        name: For tables.
        module: Of this package; its `train(workload, options, turns)` trains.
        options: For that: of rslcore the overrides of its config, of others what they understand.
        is_floor: Whether it does not train, but makes a part of the work that nobody can do without.
        warm_up: Iterations that it makes before the rounds, while it still compiles.
    """

    name: str
    module: str
    options: tuple[str, ...] = ()
    is_floor: bool = False
    warm_up: int = 2

    def unfit(self, workload: Workload) -> str:
        """Why it cannot take part in a workload; empty if it can."""
        is_lstm, is_image = "lstm" in workload.name, "images" in workload.name
        if self.is_floor and (not workload.is_free or is_lstm or is_image or workload.extensions):
            return "is for layers of matrix products"
        if self.module in ("ours", "rsl_rl_peer"):
            return ""
        if workload.extensions:
            return "has neither RND nor symmetry"
        if is_lstm:
            return "leaves recurrence to another package or to the user's own model"
        return ""


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(OURS, "ours"),
        Contender("rslcore eager", "ours", ("algorithm.execution=eager",)),
        Contender("rslcore bf16", "ours", ("algorithm.precision=bf16",)),
        Contender(PEER, "rsl_rl_peer"),
        Contender("rsl_rl compile", "rsl_rl_peer", ("torch_compile_mode=default",), warm_up=6),
        Contender("rsl_rl bf16", "rsl_rl_peer", ("use_mixed_precision=True",)),
        Contender("skrl", "skrl_peer"),
        Contender("sb3", "sb3_peer"),
        Contender("cleanrl", "cleanrl_peer"),
        Contender("torch.mm", "roofline", ("mm",), is_floor=True),
        Contender("oneDNN", "roofline", ("onednn",), is_floor=True),
    )
}
