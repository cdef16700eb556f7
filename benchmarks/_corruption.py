"""Wrong translations made from right ones, one mistake each, the way engines make them. Seeded: the same every time."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

NUMBER = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)?(?![\w-]|[.,]\d)")
UNITS = {
    "pt": "mg:g dias:semanas horas:dias anos:meses semanas:meses comprimidos:gotas",
    "es": "mg:g días:semanas horas:días años:meses semanas:meses comprimidos:gotas",
    "fr": "mg:g jours:semaines heures:jours ans:mois semaines:mois comprimés:gouttes",
    "de": "mg:g Tage:Wochen Tagen:Wochen Stunden:Tage Jahre:Monate Jahren:Monaten Wochen:Monate Tabletten:Tropfen",
    "it": "mg:g giorni:settimane ore:giorni anni:mesi settimane:mesi compresse:gocce",
    "en": "mg:g days:weeks hours:days years:months weeks:months tablets:drops",
}
MONTHS = {
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "en": "January February March April May June July August September October November December",
}
DENIALS = {
    "pt": r"\b(?:não|nunca|sem|nenhuma?)\s+",
    "es": r"\b(?:no(?! obstante)|nunca|sin(?! embargo)|ninguna?)\s+",
    "fr": r"\b(?:pas|jamais|sans|aucune?)\s+",
    "de": r"\b(?:nicht|nie|ohne|keine?[nmrs]?)\s+",
    "it": r"\b(?:non|mai|senza|nessuna?)\s+",
    "en": r"\b(?:not|never|without|no)\s+",
}
VERBS = {
    "pt": ("não ", r"\b(?:é|são|está|estão|foi|foram|pode|podem|tem|têm|deve|devem)\b"),
    "es": ("no ", r"\b(?:es|son|está|están|fue|fueron|puede|pueden|tiene|tienen|debe|deben)\b"),
    "de": ("nicht ", r"\b(?<=ist )|(?<=sind )|(?<=war )|(?<=wurde )|(?<=kann )|(?<=können )"),
    "it": ("non ", r"\b(?:è|sono|era|può|possono|deve|devono|ha|hanno)\b"),
    "fr": ("ne pas ", r"(?<=peut )|(?<=peuvent )|(?<=doit )|(?<=doivent )|(?<=de )(?=[a-z]+er\b)"),
    "en": ("not ", r"(?<=\bis )|(?<=\bare )|(?<=\bwas )|(?<=\bwere )|(?<=\bcan )|(?<=\bmay )|(?<=\bshould )"),
}
SIDES = {
    "pt": "esquerdo:direito esquerda:direita direito:esquerdo direita:esquerda",
    "es": "izquierdo:derecho izquierda:derecha derecho:izquierdo derecha:izquierda",
    "fr": "gauche:droit droite:gauche droit:gauche",
    "de": "linken:rechten linke:rechte rechten:linken rechte:linke rechts:links links:rechts",
    "it": "sinistro:destro sinistra:destra destro:sinistro destra:sinistra",
}
ENGLISH_SIDE = r"\b(?:left|right)\b(?=[ -](?:side|hand|leg|wrist|kidney|breast|ovary|sided|handed))"
DRUGS = ("warfarin", "metoprolol", "ciprofloxacin")
DRUG = re.compile(
    r"\b(?:hidroxi|hydroxy|hydroxi)?[ck]?h?loroquin[ae]?\b|\b(?:lopina|ritona|remdesi|oseltami|favipira)vir\b|\btocilizumab[e]?\b"
    r"|\b(?:enoxaparin|azit[h]?romicin|amoxicil+in|morfin|morphin|ibuprofen|paracetamol|metformin|heparin|insulin)[aeo]?\b",
    re.IGNORECASE,
)
SPELT = {
    "pt": "dois:três duas:três três:cinco quatro:seis cinco:oito dez:doze vinte:trinta",
    "es": "dos:tres tres:cinco cuatro:seis cinco:ocho diez:doce veinte:treinta",
    "fr": "deux:trois trois:cinq quatre:six cinq:huit dix:douze vingt:trente",
    "de": "zwei:drei drei:fünf vier:sechs fünf:acht zehn:zwölf zwanzig:dreißig",
    "it": "due:tre tre:cinque quattro:sei cinque:otto dieci:dodici venti:trenta",
    "en": "two:three three:five four:six five:eight ten:twelve twenty:thirty",
}

Corruption = Callable[[str, str, str, random.Random], str | None]
"""(source, target, language of the target, chance): the corrupted target, or None where there is nothing to corrupt."""


def _one(pattern: re.Pattern[str] | str, text: str, chance: random.Random, change: Callable[[str], str]) -> str | None:
    found = list(re.finditer(pattern, text))
    if not found:
        return None
    match = chance.choice(found)
    changed = text[: match.start()] + change(match.group()) + text[match.end() :]
    return changed if changed != text else None


def _swap(table: str, text: str, chance: random.Random, before: str = r"\b") -> str | None:
    pairs = dict(pair.split(":") for pair in table.split())
    words = "|".join(sorted(map(re.escape, pairs), key=len, reverse=True))
    return _one(rf"{before}(?:{words})\b", text, chance, lambda word: pairs[word])


def digit(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """One digit of one number is another."""

    def change(number: str) -> str:
        places = [i for i, c in enumerate(number) if c.isdigit()]
        at = chance.choice(places)
        return number[:at] + str((int(number[at]) + chance.randint(1, 9)) % 10) + number[at + 1 :]

    return _one(NUMBER, target, chance, change)


def dropped(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """A number is gone."""
    return _one(NUMBER, target, chance, lambda number: "")


def tenfold(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """A decimal sign is lost, or a nought too many."""
    return _one(NUMBER, target, chance, lambda n: re.sub(r"[.,]", "", n) if re.search("[.,]", n) else n + "0")


def spelt(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """A number word is another."""
    return _swap(SPELT[language], target, chance)


def unit(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """The unit behind a number is another."""
    return _swap(UNITS[language], target, chance, r"(?<=\d )")


def month(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """Another month."""
    names = MONTHS[language].split()
    one_of = "|".join(names)
    found = rf"(?<=\d de )(?:{one_of})\b|(?<=\d[ .] )(?:{one_of})\b|(?<=\d )(?:{one_of})\b"
    return _one(found, target, chance, lambda name: chance.choice([other for other in names if other != name.lower()]))


def denial_lost(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """A denial is gone."""
    return _one("(?i)" + DENIALS[language], target, chance, lambda word: "")


def denial_added(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """A denial nobody said."""
    word, verbs = VERBS[language]
    return _one(f"(?<!{word.strip()} )(?:{verbs})", target, chance, lambda verb: word + verb)


def side(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """Left is right."""
    if language == "en":  # where else they are no sides
        return _one(ENGLISH_SIDE, target, chance, lambda word: {"left": "right", "right": "left"}[word])
    return _swap(SIDES[language], target, chance)


def drug(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """Another drug."""
    return _one(DRUG, target, chance, lambda name: chance.choice(DRUGS))


def cut(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """Only the first fifth is there."""
    words = target.split()
    return " ".join(words[: len(words) // 5]) if len(words) >= 15 else None


def looped(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """The engine got stuck."""
    words = target.split()
    return " ".join(words + words[-2:] * 6) if len(words) >= 4 else None


def untranslated(source: str, target: str, language: str, chance: random.Random) -> str | None:
    """The second half is left as it was."""
    ours, theirs = source.split(), target.split()
    half = ours[len(ours) // 2 :]
    return " ".join(theirs[: len(theirs) // 2] + half) if len(half) >= 6 else None


ALL: dict[str, Corruption] = {
    function.__name__: function
    for function in (
        digit, dropped, tenfold, spelt, unit, month, denial_lost, denial_added, side, drug, cut, looped, untranslated,
    )
}  # fmt: skip


def corrupt(rows: list[tuple[str, str]], language: str, seed: str) -> Iterator[tuple[str, str, str]]:
    """(kind, source, corrupted target) for every row and every kind that applies to it."""
    for kind, function in ALL.items():
        chance = random.Random(f"{seed} {kind}")
        for source, target in rows:
            wrong = function(source, target, language, chance)
            if wrong is not None and wrong.strip() != target.strip():
                yield kind, source, wrong
