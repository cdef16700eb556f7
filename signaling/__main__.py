"""``python -m signaling`` is the command `consilium`."""

from signaling.cli import main

main()
