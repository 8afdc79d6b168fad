"""`python -m rslcore`, which torchrun can start: `torchrun --nproc-per-node 2 -m rslcore train ...`."""

from rslcore.cli import main

main()
