"""How well the guard tells wrong translations from right ones, and what the engine's own mistakes come to.

False alarms: human translations that the guard marks, although a person made them (some are wrong all the same: the
figure is an upper bound). Detection: the same translations with one mistake made in each, by rules that know nothing of
the guard (`benchmarks._corruption`); the rate is the mean over the kinds of mistakes, however many there are of each.
Engine: real sentences through the real models; a number counts as lost when its digits are in the source and the human
translation and not in the output, a denial as flipped when source and human translation have one and the output has
none, both by plain patterns that are not the guard's, and as unmarked when no mark says so.

The guard's tables were written with lines 1 to 500 of each set at hand; only the lines behind them are used here.
`CONSILIUM_DATA` names the data folder; what is missing is left out and said so. `CONSILIUM_SENTENCES` is how many
sentences go through the engine in each direction (default 150).
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections import Counter
from itertools import permutations
from pathlib import Path
from typing import Any

from benchmarks._corruption import DENIALS, corrupt
from captioning import models
from captioning.guard import check, doubts
from captioning.pairs import Pairs
from captioning.translate import Translator

ROOT = Path(__file__).parent.parent
SEEN = 500
"""Lines that the tables were written with."""
TABLED = ("en", "pt", "es", "fr", "de", "it")
OTHERS = ("ru", "zh", "ar", "ja", "ko", "hi", "tr", "fa", "vi", "id", "nl", "pl")
MISALIGNED = {"tico19-en-fr.tsv": "its lines stop corresponding after some 300: every other mark would be right"}
Rows = list[tuple[str, str]]


def data() -> Path:
    return Path(os.environ.get("CONSILIUM_DATA", ROOT.parent / "shared" / "data"))


def clinical() -> dict[str, list[str]]:
    """Our own sentences from the consulting room, in the six languages with tables."""
    lines = (Path(__file__).parent / "clinical.tsv").read_text(encoding="utf-8").splitlines()
    columns = zip(*(line.split("\t") for line in lines), strict=True)
    return {name: list(column) for name, *column in columns}


def sets() -> tuple[dict[tuple[str, str, str], Rows], list[str]]:
    """Pairs of sentences by (set, source, target); and what is missing."""
    found: dict[tuple[str, str, str], Rows] = {}
    missing = []
    for language in ("pt", "es", "ru", "zh", "ar"):
        path = data() / "medical" / f"tico19-en-{language}.tsv"
        if not path.is_file():
            missing.append(path.name)
            continue
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1 + SEEN :]]
        found["medical", "en", language] = [(row[1], row[2]) for row in rows if len(row) == 3]
    lines = {}
    for language in (*TABLED, *OTHERS):
        path = data() / "flores" / f"flores-dev.{language}"
        if path.is_file():
            lines[language] = path.read_text(encoding="utf-8").splitlines()[SEEN:]
        else:
            missing.append(path.name)
    for source, target in permutations(TABLED, 2):
        if source in lines and target in lines and "en" in (source, target):
            found["flores", source, target] = list(zip(lines[source], lines[target], strict=True))
    for target in OTHERS:
        if "en" in lines and target in lines:
            found["flores", "en", target] = list(zip(lines["en"], lines[target], strict=True))
    own = clinical()
    for source, target in permutations(TABLED, 2):
        if "en" in (source, target):
            found["clinical", source, target] = list(zip(own[source], own[target], strict=True))
    return found, missing


def false_alarms(rows: Rows, source: str, target: str) -> dict[str, Any]:
    marks: Counter[str] = Counter()
    marked = 0
    for ours, theirs in rows:
        found = doubts(check(ours, theirs, source, target))
        marked += bool(found)
        marks.update(found)
    return {"sentences": len(rows), "marked": marked, "rate": round(marked / len(rows), 4), "by": dict(marks)}


def detection(found: dict[tuple[str, str, str], Rows]) -> dict[str, dict[str, Any]]:
    """By kind of mistake, over all sets whose target has a table; sentences the guard marks unharmed are left out."""
    made: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for (name, source, target), rows in found.items():
        if target not in TABLED:
            continue
        clean = [row for row in rows if not check(*row, source, target)]
        for kind, ours, wrong in corrupt(clean, target, f"{name} {source} {target}"):
            marks = doubts(check(ours, wrong, source, target))
            made[kind] += 1
            seen[kind] += bool(marks)
            named[kind] += bool(set(marks) & EXPECTED[kind])
    return {
        kind: {"made": made[kind], "found": seen[kind], "rate": round(seen[kind] / made[kind], 4), "named": named[kind]}
        for kind in made
    }


_QUANTITY = {"number", "dose", "percentage"}
EXPECTED: dict[str, set[str]] = {
    "digit": _QUANTITY,
    "dropped": _QUANTITY,
    "tenfold": _QUANTITY,
    "spelt": _QUANTITY,
    "unit": {"unit"},
    "month": {"date"},
    "denial_lost": {"negation"},
    "denial_added": {"negation"},
    "side": {"side"},
    "drug": {"drug"},
    "cut": {"length"} | _QUANTITY,
    "looped": {"loop"},
    "untranslated": {"copied"},
}
"""What a mistake should be called."""


def digits(text: str) -> set[str]:
    """Significant digits of the numbers in a text (14,000 and 14 mil are 14); no names such as COVID-19."""
    numbers = re.findall(r"(?<![^\W\d])(?<![^\W\d]-)\d[\d.,]*", text)
    return {re.sub(r"\D", "", number).strip("0") for number in numbers} - {""}


HOLDS = {
    "en": r"\b(?:no\w*|none|n't|never|without|neither|cannot|absent|absence|un\w+|in\w+able|lack\w*|fail\w*)\b|n't\b",
    "pt": r"\b(?:não|nunca|sem|nenhum\w*|ninguém|nada|nem|jamais|ausen\w+|in\w+vel|falta\w*)\b",
}
"""Whatever may say no; the output must have none of it to count as flipped."""


def engine(translator: Translator, rows: list[tuple[str, str]], source: str, target: str) -> dict[str, Any]:
    """Real sentences through the real model, and what it got wrong with and without a mark."""
    route = translator.route(source, target)
    assert route is not None
    before = Counter(translator.counters)
    lost = lost_unmarked = flipped = flipped_unmarked = untranslated = 0
    plain_seconds = guarded_seconds = 0.0
    for ours, theirs in rows:
        began = time.perf_counter()
        translator.translate(ours, route)
        middle = time.perf_counter()
        result = translator.translate(ours, route, spoken=source, read=target)
        plain_seconds += middle - began
        guarded_seconds += time.perf_counter() - middle
        if result is None:
            untranslated += 1
            continue
        if (digits(ours) & digits(theirs)) - digits(result.text):
            lost += 1
            lost_unmarked += not result.doubts
        denied = all(re.search("(?i)" + DENIALS[tag], text) for tag, text in ((source, ours), (target, theirs)))
        if denied and not re.search("(?i)" + HOLDS[target], result.text):
            flipped += 1
            flipped_unmarked += not result.doubts
    count = Counter(translator.counters)
    count.subtract(before)
    return {
        "sentences": len(rows),
        "untranslated": untranslated,
        "wrong_at_first": count["translations_retried"],
        "mended": count["translations_mended"],
        "marked": count["translations_marked"],
        "numbers_lost": lost,
        "numbers_lost_unmarked": lost_unmarked,
        "negations_flipped": flipped,
        "negations_flipped_unmarked": flipped_unmarked,
        "ms_per_sentence": round(1000 * plain_seconds / len(rows), 1),
        "guard_ms_per_sentence": round(1000 * guarded_seconds / len(rows), 1),
    }


def load(folder: Path) -> Translator:
    models.install_embedded(folder)
    return Translator(Pairs(folder), hears_english=False)


def run() -> dict[str, Any]:
    found, missing = sets()
    alarms = {f"{n}_{s}_{t}": false_alarms(rows, s, t) for (n, s, t), rows in found.items()}
    tabled = [alarms[f"{n}_{s}_{t}"] for n, s, t in found if t in TABLED and n != "clinical"]
    kinds = detection(found)
    print("checked; now the engine", file=sys.stderr)
    count = int(os.environ.get("CONSILIUM_SENTENCES", "150"))
    engines = {}
    with tempfile.TemporaryDirectory() as temporary:
        translator = load(Path(os.environ.get("CONSILIUM_MODELS", temporary)))
        for name, source, target in (
            ("medical", "en", "pt"),
            ("flores", "en", "pt"),
            ("flores", "pt", "en"),
            ("clinical", "en", "pt"),
            ("clinical", "pt", "en"),
        ):
            if (name, source, target) in found:
                rows = found[name, source, target][:count]
                engines[f"{name}_{source}_{target}"] = engine(translator, rows, source, target)
    sentences = sum(alarm["sentences"] for alarm in tabled)
    return {
        "false_alarm_rate": round(sum(a["marked"] for a in tabled) / sentences, 4) if sentences else None,
        "false_alarm_sentences": sentences,
        "detection_rate": round(sum(kind["rate"] for kind in kinds.values()) / len(kinds), 4) if kinds else None,
        "corruptions": sum(kind["made"] for kind in kinds.values()),
        "numbers_lost_unmarked": sum(e["numbers_lost_unmarked"] for e in engines.values()),
        "negations_flipped_unmarked": sum(e["negations_flipped_unmarked"] for e in engines.values()),
        "engine": engines,
        "detection": kinds,
        "false_alarms": alarms,
        "left_out": {**dict.fromkeys(missing, "not there"), **MISALIGNED},
        "measured": (
            f"lines behind the first {SEEN} of each set, with which the tables were written; 'clinical' are our own "
            "sentences and count for detection only; false alarms are of human translations, some of which are wrong"
        ),
    }
