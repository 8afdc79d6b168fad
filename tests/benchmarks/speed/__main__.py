"""`python tests/benchmarks/speed`; see `speed.command`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks, of which this folder is a package

from speed.command import main

if __name__ == "__main__":
    main()
