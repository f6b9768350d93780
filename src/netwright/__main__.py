"""``netwright`` and ``python -m netwright``: the command line.

Of the libraries of the command line nothing is imported before a request to end is answered.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; see :func:`netwright.cli.main.main`."""
    try:
        from netwright.cli.main import main as run
    except KeyboardInterrupt:
        print("stopped before anything was begun", file=sys.stderr)
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
