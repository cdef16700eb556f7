"""Tables of languages, for checks that have to know their words. One module a language."""

from __future__ import annotations

from captioning.tongues.de import GERMAN
from captioning.tongues.en import ENGLISH
from captioning.tongues.es import SPANISH
from captioning.tongues.fr import FRENCH
from captioning.tongues.it import ITALIAN
from captioning.tongues.pt import PORTUGUESE
from captioning.tongues.tongue import Tongue

TONGUES: dict[str, Tongue] = {tongue.code: tongue for tongue in (ENGLISH, PORTUGUESE, SPANISH, FRENCH, GERMAN, ITALIAN)}
"""By primary language tag."""
