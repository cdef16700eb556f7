"""Those who do not want their name beside their words: who stands there in their place. Pure."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from captioning.caption import Caption

KEPT = 1_000
"""Segments of which it is known that their speaker was not named; more than any snapshot has."""


class Unnamed:
    """Gives each of them an id that nobody has. What was said without a name stays so when its speaker is named."""

    def __init__(self) -> None:
        self._aliases: dict[str, str] = {}
        self._hidden: set[str] = set()
        self._segments: OrderedDict[str, str] = OrderedDict()

    def hide(self, participant: str, hidden: bool) -> None:
        """From now on somebody's words have their name, or have not."""
        (self._hidden.add if hidden else self._hidden.discard)(participant)

    def shown(self, caption: Caption) -> Caption:
        """The caption as others may have it."""
        alias = self._segments.get(caption.segment)
        if alias is None:
            if caption.participant not in self._hidden:
                return caption
            alias = self._aliases.setdefault(caption.participant, f"~{len(self._aliases) + 1}")
            self._segments[caption.segment] = alias
            if len(self._segments) > KEPT:
                self._segments.popitem(last=False)
        return msgspec.structs.replace(caption, participant=alias, track="")
