"""The browser client's built files. `STATIC` is a folder inside the wheel; no Node is needed to serve it."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
