"""What watches over a run: that an env gives what its spec says, and that no number goes wrong unseen.

    shapes.py       shapes, types and devices of what an env gives
    numbers.py      numbers of a rollout: kept on the device, looked at once, at its end
    cleaning.py     bad rows made rows that are no transitions, for runs that go on
    update.py       numbers of an update: losses, gradients, parameters
    evidence.py     what is saved of them, to be inspected
    incident.py     what is said, and where the evidence is
    watch.py        `Watch`, which the loop of a runner asks at every step

Nothing here waits for the device at an env step or at a minibatch.
"""

from rslcore.watch.watch import Watch

__all__ = ["Watch"]
