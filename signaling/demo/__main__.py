"""``python -m signaling.demo LINK``: see `signaling.demo.run`."""

from __future__ import annotations

import sys

from signaling.demo import run

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m signaling.demo LINK")
    run(sys.argv[1])
