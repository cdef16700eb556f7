"""What `consilium doctor` says: one line for each finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Line:
    """One finding; `advice` says what to do about it."""

    state: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    advice: str = ""
