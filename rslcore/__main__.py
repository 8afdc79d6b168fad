"""`python -m rslcore` is `rslcore`."""

from rslcore.cli import main

main()
