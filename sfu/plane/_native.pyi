"""The extension that is built from `sfu/plane/native`; what its calls give is in `python.rs` there."""

from typing import Any

class Core:
    def __init__(self, seed: int, cname: str) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
