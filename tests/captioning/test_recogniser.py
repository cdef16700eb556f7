"""What a recogniser makes of an unsure hypothesis: real audio and voice detection, an engine that answers as told."""

from __future__ import annotations

from collections.abc import Sequence

from captioning.decode import RATE
from captioning.engine import Request
from captioning.glossary import Term
from captioning.hypothesis import Hypothesis, Sure
from captioning.messages import Audio, CloseStream, OpenStream, Packet, SetGlossary, SetReaders, Translation, Words
from captioning.recogniser import Recogniser
from captioning.translate import Translator

from .speech import clip

SAID = "She takes met forming twice a day."
RIGHT = "She takes metformin twice a day."
SURE = [Sure(p, 0.3 * at) for at, p in enumerate([0.99, 0.99, 0.3, 0.5, 0.99, 0.2, 0.99])]


class Engine:
    """Hears `SAID` in whatever it is given; `hinted` are the hints it got for the last full pass."""

    languages = ("en",)
    multilingual = False
    batch = 4

    def __init__(self) -> None:
        self.hinted: list[str] = []
        self.full: list[float] = []
        """Seconds that the full passes heard."""

    def recognise(self, requests: Sequence[Request]) -> list[Hypothesis | None]:
        for request in requests:
            if request.full:
                self.hinted = request.hints("en") if request.hints else []
                self.full.append(len(request.samples) / RATE)
        return [Hypothesis(SAID, "en", "en", 1.0, -0.2, judge=lambda: SURE) for _ in requests]


class Portuguese:
    def translate_long(self, text: str) -> str:
        return {"She takes metformin twice a day.": "Ela toma remédio duas vezes por dia."}.get(text, "Ela toma.")


def hear(terms: list[Term]) -> tuple[list[Words], list[Translation], Recogniser, Engine]:
    sent: list[object] = []
    engine = Engine()
    recogniser = Recogniser(engine, Translator({("en", "pt"): Portuguese()}, False), sent.append)
    clock = [0.0]

    def work() -> bool:
        job = recogniser.take(lambda: clock[0], 0.0)
        if job is not None:
            recogniser.work(job, lambda: clock[0])
        return job is not None

    for message in (SetReaders("room", ["pt"]), SetGlossary("room", terms), OpenStream("t", "room", "en", 0)):
        recogniser.handle(message, clock[0])
    for number, payload in enumerate(clip("en-dose.opus")):
        clock[0] += 0.02
        recogniser.handle(Audio("t", [Packet(number * 960, number * 20.0, payload)]), clock[0])
        if number % 50 == 49:
            work()
    recogniser.handle(CloseStream("t"), clock[0])
    while work():
        pass
    finals = [m for m in sent if isinstance(m, Words) and m.final]
    return finals, [m for m in sent if isinstance(m, Translation) and m.final], recogniser, engine


def test_what_was_said_before_a_breath_stays_and_is_not_heard_again() -> None:
    finals, _, recogniser, engine = hear([])
    counters = recogniser.figures(0.0)[4]
    assert counters["pieces"] == 1 and len(finals) == 1, counters
    whole = len(clip("en-dose.opus")) / 50
    assert len(engine.full) >= 2 and max(engine.full) < whole - 1, "each full pass hears its own piece only"


def test_an_unsure_word_becomes_the_term_and_what_was_heard_goes_along() -> None:
    term = Term("metformin", "en", "drug", ["met forming"], {"pt": "metformina"})
    finals, translations, recogniser, engine = hear([term])
    (final,) = finals
    assert (final.stable, final.heard) == (f"{RIGHT} {RIGHT}", f"{SAID} {SAID}")
    assert final.doubtful == [4, 10], "counted in the corrected text; what was put right is not doubted"
    assert engine.hinted == ["metformin"]
    assert translations and all(t.guard == ["drug"] for t in translations), "a drug of the glossary is missing"
    assert recogniser.figures(0.0)[4]["glossary_corrections"] == 2


def test_without_a_glossary_the_words_stay_and_the_unsure_ones_are_named() -> None:
    finals, _, _, engine = hear([])
    assert finals[0].stable == f"{SAID} {SAID}" and finals[0].heard is None and finals[0].doubtful == [2, 5, 9, 12]
    assert engine.hinted == []
