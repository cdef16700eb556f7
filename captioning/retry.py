"""Other ways to put a sentence to a translator, for when the guard did not like what came back.

A small engine loses a number in a long sentence, or takes the separator of thousands for a decimal sign, and gets the
same words right when it is asked a little differently. Pure: text in, pieces out; the pieces are translated one by one
and joined by spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from captioning.tongues import TONGUES

CLAUSE = 6
"""Words from which a comma ends a piece."""
_SENTENCE = re.compile(r"(?<=[.;:?!])\s+")
_COMMA = re.compile(r"(?<=,)\s+")


def ways(text: str, language: str) -> Iterator[list[str]]:
    """Pieces for one more try each, in the order that mended most sentences where we measured; none twice."""
    bare = ungrouped(text, language)
    seen: set[tuple[str, ...]] = {(text,)}
    for pieces in ([bare], [bare.rstrip(". ")], clauses(bare)):
        if any(pieces) and tuple(pieces) not in seen:
            seen.add(tuple(pieces))
            yield pieces


def ungrouped(text: str, language: str) -> str:
    """Without separators of thousands, which mean something else across a border: ``7,162`` becomes ``7162``."""
    tongue = TONGUES.get(language)
    if tongue is None:
        return text
    separator = "," if tongue.decimal == "." else r"\."
    return re.sub(rf"\b\d{{1,3}}(?:{separator}\d{{3}})+\b(?![.,]\d)", lambda m: re.sub(r"\D", "", m.group()), text)


def clauses(text: str) -> list[str]:
    """Sentences, cut further at commas where a piece has some words already."""
    pieces: list[str] = []
    for sentence in _SENTENCE.split(text):
        piece = ""
        for part in _COMMA.split(sentence):
            if len(piece.split()) >= CLAUSE:
                pieces.append(piece)
                piece = part
            else:
                piece = f"{piece} {part}".strip()
        if piece:
            pieces.append(piece)
    return pieces
