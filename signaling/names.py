"""Names that people give themselves: shown to everyone, so they must not deceive."""

from __future__ import annotations

import unicodedata

_FORBIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def clean(name: str, limit: int = 80) -> str:
    """The name in NFC, without control, bidirectional and invisible characters, spaces collapsed; may be empty."""
    kept = "".join(
        c
        for c in unicodedata.normalize("NFC", name)
        if unicodedata.category(c) not in _FORBIDDEN or c in "\u200c\u200d"
    )
    return " ".join(kept.split())[:limit].strip("\u200c\u200d ")


def clean_text(text: str) -> str:
    """Chat text: line breaks stay, other control and bidirectional-override characters go."""
    overrides = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    kept = (c for c in text if c in "\n\t" or (unicodedata.category(c) not in {"Cc", "Cs"} and c not in overrides))
    return "".join(kept).strip()
