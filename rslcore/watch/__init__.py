"""What watches over a run: that an env gives what its spec says, and that no number goes wrong unseen.

    shapes.py       shapes, types and devices of what an env gives
    numbers.py      numbers of a rollout: kept on the device, looked at once, at its end
    cleaning.py     bad rows made rows that are no transitions, for runs that go on
    update.py       numbers of an update: losses, gradients, parameters
    evidence.py     what is saved of them, to be inspected
    watch.py        `Watch`, which the loop of a runner asks at every step

What is said of it, and where the evidence is, `rslcore.run.incident` knows.

In a run that stops at bad numbers, nothing here waits for the device at an env step or at a minibatch. A run that skips
them cleans each step on the device, and waits for it once a minibatch, to know whether the gradient is finite.
"""

from rslcore.watch.watch import Watch

__all__ = ["Watch"]
