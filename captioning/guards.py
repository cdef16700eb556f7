"""Checks that keep words nobody said off the screen. Whisper fills silence with phrases and gets stuck in loops."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Literal

Guard = Literal["loop", "compression", "no-speech", "improbable", "sparse", "credits"]

COMPRESSION = 2.4
NO_SPEECH = 0.6
IMPROBABLE = -1.0
HOPELESS = -1.3
SPARSE_FROM, SPARSE = 5.0, 0.6
"""An utterance of so many seconds is mostly sound, and nobody who speaks says fewer words in a second of it."""
CREDITS = re.compile(
    r"amara\.org|subtitles? (by|created)|subtitled by|untertitel (von|der|im)"
    r"|sous-titr(es|age) (réalisés|st|par|société)|legendas? (pela|por) |subtítulos (por|realizados)"
    r"|sottotitoli (creati|e revisione|a cura)|字幕|субтитры (сделал|созда)",
    re.IGNORECASE,
)
"""Credits of the subtitle files that Whisper was trained on. A short text that holds one is dropped."""
CREDITS_LONGEST = 12
OUTRO = re.compile(
    r"(in|to) (the|my|our) next video|thanks for watching|thank you for watching|subscribe to (my|our|the) channel"
    r"|prochaine vidéo|merci d['’]avoir regardé|abonnez-vous|nächsten video|fürs zuschauen|abonniert"
    r"|próximo v[ií]deo|gracias por ver|suscr[ií]b[ea]|obrigad[oa] por assistir|inscreva-se|se inscreva"
    r"|prossimo video|grazie per la visione|iscrivetevi|спасибо за просмотр|подписывайтесь|продолжение следует"
    r"|谢谢观看|感谢观看|点赞|ご視聴|시청해|اشتركوا في القناة|izlediğiniz için",
    re.IGNORECASE,
)
"""How videos end, which Whisper was trained on too. Somebody may say so, and then Whisper is sure of it."""
THANKS = re.compile(
    r"(thank you( (very|so) much)?|thanks( a lot)?|merci( beaucoup)?|danke( schön)?|vielen dank|(muchas )?gracias"
    r"|(muito )?obrigad[oa]|grazie( mille)?|(большое )?спасибо|谢谢(大家)?|شكرا( جزيلا)?)[.!。]*",
    re.IGNORECASE,
)
"""What Whisper hears most in a crowd. Nothing else in an utterance, and unsure of it: nobody said so."""
UNSURE = -0.5


def compression_ratio(text: str) -> float:
    """Bytes before over bytes after deflate; speech lies under 2.4 (Radford et al. 2022, section 4.5)."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def looping(words: Sequence[str]) -> bool:
    """Whether some phrase of up to twelve words comes again and again, directly after itself."""
    lowered = [word.casefold().strip(".,!?;:") for word in words]
    for size in range(1, 13):
        needed = 5 if size == 1 else 4 if size == 2 else 3
        run = 0
        for index in range(size, len(lowered)):
            run = run + 1 if lowered[index] == lowered[index - size] else 0
            if run >= size * (needed - 1):
                return True
    return False


def twice(words: Sequence[str]) -> bool:
    """Whether at least half of it is a phrase of three words or more and that phrase again, right behind it: what is
    left of noise."""
    said = [word.casefold().strip(".,!?;:") for word in words]
    return any(
        said[at : at + size] == said[at + size : at + 2 * size]
        for size in range(max(3, -(-len(said) // 4)), len(said) // 2 + 1)
        for at in range(len(said) - 2 * size + 1)
    )


def repetitive(text: str, words: Sequence[str]) -> Guard | None:
    """A loop: worth another try with a longer window."""
    if looping(words):
        return "loop"
    return "compression" if compression_ratio(text) > COMPRESSION else None


def doubtful(
    text: str, words: Sequence[str], log_probability: float, no_speech: float, seconds: float = 0.0
) -> Guard | None:
    """Why these words must not be shown, or None. `log_probability` is the mean over tokens, `seconds` the length of
    what was heard."""
    if guard := repetitive(text, words):
        return guard
    if no_speech > NO_SPEECH and log_probability < IMPROBABLE:
        return "no-speech"
    if log_probability < HOPELESS:
        return "improbable"
    if seconds >= SPARSE_FROM and len(words) < SPARSE * seconds:
        return "sparse"
    if len(words) <= CREDITS_LONGEST and CREDITS.search(text):
        return "credits"
    if log_probability < UNSURE and THANKS.fullmatch(text.strip()):
        return "credits"
    if log_probability < UNSURE and twice(words):
        return "loop"
    return "credits" if log_probability < UNSURE and OUTRO.search(text) else None
