"""Which language a short written text is in: by its script, else by the small words that every sentence has
(Grefenstette, “Comparing two language identification schemes”, 1995). Pure; no model: a
line of chat is too short for most."""

from __future__ import annotations

import re
from collections.abc import Sequence

SMALL_WORDS = {
    "en": "the of and to in is that for it with was be are this not you have we he she on at by from do can what "
    "your i my please yes will would has how when which their they there an or if as does did should but "
    "about been",
    "pt": "o a os as de do da dos das em no na nos nas que não é um uma para com por se foi são tem você eu ele ela "
    "está qual como isso mais sim ou ao à e quando pode podemos muito obrigado obrigada bom dia meu minha seu "
    "sua também já",
    "es": "el la los las de del en que no es un una para con por se fue son tiene usted yo él ella está cuál como "
    "eso más sí o al y cuando puede podemos muy gracias buenos su sus también ya lo le pero hay",
    "fr": "le la les de des du en que ne pas est un une pour avec par se sont vous je il elle nous qui dans sur ce "
    "cette oui ou au aux et quand peut très merci bonjour son sa ses aussi déjà mais il y a plus",
    "de": "der die das den dem des und zu in ist nicht ein eine einen für mit von sich auf auch es sie er wir ich "
    "ihr haben hat wird wie was wenn oder ja nein bitte danke guten als an bei nach sind war aber kann",
    "it": "il lo la i gli le di del della dei in che non è un una per con si sono ha lei io lui come questo più sì "
    "o al e quando può molto grazie buongiorno suo sua anche già ma ci",
    "nl": "de het een van en in is dat niet op te voor met zijn er aan ik je hij zij we wat hoe als ook of ja nee "
    "graag dank bij naar om heeft kan maar door uit worden",
    "pl": "i w na z do nie to się jest że o jak po co tak ale za od czy ja ty on ona my być ma przez dla są był "
    "proszę dziękuję oraz który",
    "tr": "ve bir bu için ile de da ne mi mu çok var yok evet hayır lütfen ben sen o biz siz daha gibi olarak olan "
    "kadar",
    "id": "yang dan di ke dari untuk dengan ini itu tidak ada adalah pada saya anda kami akan bisa sudah juga atau "
    "apa ya terima kasih dia mereka oleh",
    "vi": "và của là có không cho các một những được người này với trong để đã khi tôi bạn ông bà về rất vâng cảm ơn",
}
_WORDS = {tag: frozenset(words.split()) for tag, words in SMALL_WORDS.items()}
_SCRIPTS = (
    ("ja", re.compile("[\u3041-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ur", re.compile("[\u0679\u0688\u0691\u06ba\u06d2]")),
    ("fa", re.compile("[\u067e\u0686\u06af\u06cc]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
)
_LETTERS = {
    "pt": "ãõ",
    "es": "ñ¿¡",
    "de": "ß",
    "pl": "łąęśżźć",
    "tr": "ışğ",
    "vi": "đơưạảấầẩậắằặẹẻẽếềểễệ",
    "fr": "œêèû",
}
LETTER = 2
"""What a letter that hardly any other language has counts, in small words."""


def language_of(text: str, likely: Sequence[str] = ()) -> str | None:
    """The primary tag. `likely` are the writer's languages, the likeliest first: the first stands where the text does
    not say otherwise, and they win ties. None where nothing is known."""
    known = [tag.split("-", 1)[0].lower() for tag in likely]
    for tag, script in _SCRIPTS:
        if script.search(text):
            same = {"ar", "fa", "ur"} if tag in ("ar", "fa", "ur") else {"zh", "ja"} if tag == "zh" else {tag}
            return next((mine for mine in known if mine in same or _shares(mine, tag)), tag)
    lower = text.lower()
    words = re.findall(r"[^\W\d_]+", lower)
    scores = {tag: float(sum(word in small for word in words)) for tag, small in _WORDS.items()}
    for tag, letters in _LETTERS.items():
        scores[tag] += LETTER * any(letter in lower for letter in letters)
    best = max(scores.values())
    if best == 0:
        return known[0] if known else None
    first = [tag for tag, score in scores.items() if score == best]
    # A word or two is no reason to disbelieve somebody about their own language.
    if known and scores.get(known[0], best) >= best - (1 if best < 3 else 0):
        return known[0]
    return next((tag for tag in known if tag in first), first[0] if len(first) == 1 else None)


def _shares(mine: str, script: str) -> bool:
    """Languages without a table of their own that are written in a script told by another's name."""
    others = {"ru": {"uk", "bg", "sr", "be", "mk", "kk"}, "hi": {"mr", "ne"}, "ar": {"ps", "ckb", "sd", "ug"}}
    return mine in others.get(script, ())
