"""The small pure parts: guards, languages, translation routes, revisions, frames, decoding."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._speech import opus
from captioning.bus import LARGEST_FRAME, Frames, frame
from captioning.caption import Caption
from captioning.decode import OpusDecoder
from captioning.glossary import Wanted
from captioning.guards import compression_ratio, doubtful, looping
from captioning.hypothesis import Hypothesis, Sure, together
from captioning.language import SpokenLanguage, base
from captioning.messages import Beat, Done, Packet, to_server
from captioning.retry import ungrouped, ways
from captioning.segment import Segments
from captioning.stall import Stall
from captioning.translate import LONGEST, Route, Translated, Translator
from captioning.whisper import DRAFT_WINDOWS, FULL_WINDOWS, likeliest, window_for


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("thank you thank you thank you thank you", True),
        ("no no no no no", True),
        ("no, no, no, she is not allergic", False),
        ("we will see we will see we will see", True),
        ("left lung, left lung and right lung", False),
        ("", False),
    ],
)
def test_loops_are_seen(text: str, loops: bool) -> None:
    assert looping(text.split()) is loops


def test_doubtful_words_are_named_for_what_they_are() -> None:
    fine = "Please give the patient five milligrams."
    assert doubtful(fine, fine.split(), -0.3, 0.1) is None
    assert doubtful(fine, fine.split(), -0.3, 0.9) is None, "doubt alone is no proof"
    assert doubtful(fine, fine.split(), -1.1, 0.7) == "no-speech"
    assert doubtful(fine, fine.split(), -1.5, 0.1) == "improbable"
    credits = "Legendas pela comunidade Amara.org"
    assert doubtful(credits, credits.split(), -0.2, 0.1) == "credits"
    outro = "So that was it, and I will see you in the next video."
    assert doubtful(outro, outro.split(), -0.7, 0.1) == "credits"
    assert doubtful(outro, outro.split(), -0.2, 0.1) is None, "somebody may say so, clearly"
    thanks = "Thank you very much. Thank you very much."
    assert doubtful(thanks, thanks.split(), -0.7, 0.1) == "loop"
    assert doubtful(thanks, thanks.split(), -0.2, 0.1) is None
    for thanks in ("Thank you very much.", "Muito obrigado!", "谢谢大家。"):
        assert doubtful(thanks, thanks.split(), -0.7, 0.1) == "credits"
        assert doubtful(thanks, thanks.split(), -0.2, 0.1) is None
    polite = "Thank you very much for the tablets."
    assert doubtful(polite, polite.split(), -0.7, 0.1) is None
    long = "ab" * 200
    assert compression_ratio(long) > 2.4 and doubtful(long, [long], -0.1, 0.0) == "compression"


def test_a_detected_language_needs_two_clear_utterances_to_change() -> None:
    language = SpokenLanguage()
    assert language.choose("en", 0.3) is None
    assert language.choose("en", 0.6) == "en"
    assert language.conclude("pt", 0.95, 3_000) == "pt"
    assert language.choose("en", 0.99) == "pt"
    assert language.conclude("en", 0.95, 3_000) == "pt"
    assert language.conclude("en", 0.95, 500) == "pt", "too short to count"
    assert language.conclude("es", 0.95, 3_000) == "pt", "another one starts the count anew"
    assert language.conclude("en", 0.95, 3_000) == "pt"
    assert language.conclude("en", 0.95, 3_000) == "en"


def test_detection_stays_inside_the_languages_that_are_spoken_here() -> None:
    ranked = [("<|gl|>", 0.5), ("<|pt|>", 0.3), ("<|es|>", 0.15), ("<|en|>", 0.05)]
    assert likeliest(ranked, frozenset()) == ("gl", 0.5)
    language, probability = likeliest(ranked, frozenset({"en", "pt"}))
    assert language == "pt" and probability == pytest.approx(0.3 / 0.35)


def test_what_a_room_declares_bounds_what_is_kept() -> None:
    language = SpokenLanguage(among=["en", "pt-BR"])
    assert language.conclude("gl", 0.99, 3_000) == "gl" and language.current is None, "nothing is learnt from outside"
    assert language.conclude("pt", 0.9, 3_000) == "pt"
    language.declare(None, ["en", "fr"])
    assert language.current is None, "nobody speaks it here any more"
    language.declare(None, ["fr"])
    assert language.choose("en", 0.2) == "fr", "there is no other"
    language.declare("de-AT", ["fr"])
    assert language.current == "de", "what somebody says they speak counts"


def test_pieces_of_an_utterance_become_one() -> None:
    sure = [Sure(0.9, 0.5), Sure(0.2, 0.8)]
    pieces = [
        Hypothesis("It was famous.", "en", "en", 0.9, -0.1, judge=lambda: [*sure, sure[0]]),
        Hypothesis("to foreigners.", "en", "pt", 0.6, -0.4, 0.2, judge=lambda: sure),
        Hypothesis("Then more", "en", "en", 0.7, -0.2, judge=lambda: sure),
    ]
    whole = together(pieces)
    assert whole.text == "It was famous to foreigners. Then more", "a sentence does not go on after its full stop"
    assert (whole.detected, whole.detected_probability, whole.no_speech, whole.guard) == ("en", 0.9, 0.2, None)
    assert whole.log_probability == pytest.approx((-0.3 - 0.8 - 0.4) / 7)
    assert [word.probability for word in whole.judge() or []] == [0.9, 0.2, 0.9, 0.9, 0.2, 0.9, 0.2]
    assert together([pieces[0], replace(pieces[1], judge=lambda: None)]).judge() is None


def test_only_a_decode_that_gets_nowhere_is_ended() -> None:
    def beat(busy: float, cpu: float) -> Beat:
        return Beat(0.0, 0, 1, False, busy, cpu, {})

    starved = Stall()
    assert [starved.feed(beat(busy, 10 + busy / 8)) for busy in (0.0, 5.0, 20.0, 60.0, 110.0)] == [None] * 5
    assert starved.feed(beat(121.0, 25.0)) is not None, "that is long, however busy the machine is"
    hung = Stall()
    assert [hung.feed(beat(busy, 100 + busy)) for busy in (3.0, 14.0, 2.0, 12.0, 16.0)] == [None] * 5
    assert hung.feed(beat(18.0, 118.0)) is not None


def test_a_declared_language_is_never_overruled() -> None:
    language = SpokenLanguage("pt")
    assert language.conclude("en", 1.0, 9_000) == "pt"
    language.declare(None)
    assert language.current is None
    assert base("pt-BR") == "pt"


class Fake:
    """A translator that is wrong on purpose: the real ones are used in test_service."""

    def __init__(self, answer: str | None = None, fails: bool = False) -> None:
        self.answer, self.fails, self.calls = answer, fails, 0

    def translate_long(self, text: str) -> str:
        self.calls += 1
        if self.fails:
            raise BaseException("panic")
        return text if self.answer is None else self.answer


def test_routes_go_direct_then_through_english_then_by_whisper() -> None:
    translator = Translator({("en", "pt"): Fake(), ("pt", "en"): Fake(), ("en", "de"): Fake()}, hears_english=True)
    assert translator.route("en", "en") is None
    assert translator.route("en", "pt") == Route(False, (("en", "pt"),))
    through = translator.route("pt", "de")
    assert through == Route(False, (("pt", "en"), ("en", "de"))) and through.pivot == "en"
    heard = translator.route("ja", "en")
    assert heard == Route(True, (), "whisper") and (heard.engine, heard.pivot) == ("whisper", None)
    both = translator.route("ja", "pt")
    assert both is not None and (both.engine, both.pivot, both.english_first) == ("firefox", "en", True)
    assert translator.route("en", "ja") is None
    assert translator.readable() == ["de", "en", "pt"]
    assert translator.wants_english("ja", ["pt"]) and not translator.wants_english("pt", ["en", "de"])


def test_a_translation_that_is_empty_copied_broken_or_too_long_is_not_shown_and_is_counted() -> None:
    def of(fake: Fake, text: str) -> tuple[str | None, Translator]:
        translator = Translator({("en", "pt"): fake}, False)
        route = translator.route("en", "pt")
        assert route is not None
        return (translated.text if (translated := translator.translate(text, route)) else None), translator

    sentence = "She has no pain today."
    assert of(Fake("Ela não tem dor hoje."), sentence)[0] == "Ela não tem dor hoje."
    for fake, text, count in [
        (Fake(""), sentence, "translations_empty"),
        (Fake(), sentence, "translations_copied"),
        (Fake(fails=True), sentence, "translations_failed"),
        (Fake("x"), "a " * LONGEST, "translations_empty"),
    ]:
        result, translator = of(fake, text)
        assert result is None and translator.counters[count] == 1
    assert of(Fake(), "Amoxicillin, Ana.")[0] == "Amoxicillin, Ana.", "names may stay"


def test_the_same_sentence_is_translated_once() -> None:
    fake = Fake("Sim.")
    translator = Translator({("en", "pt"): fake}, False)
    route = translator.route("en", "pt")
    assert route is not None
    assert [translator.translate("Yes.", route) for _ in range(3)] == [Translated("Sim.")] * 3
    assert fake.calls == 1


def revise(segments: Segments, segment: str, text: str, final: bool, language: str = "en") -> Caption | None:
    return segments.revise(
        segment=segment,
        participant="p",
        track="t",
        source="en",
        language=language,
        start=0,
        end=1,
        stable=text,
        tail="",
        final=final,
    )


def test_revisions_count_up_and_nothing_follows_a_final() -> None:
    segments = Segments(kept=2)
    assert revise(segments, "a", "", True) is None, "nothing was shown, nothing to take back"
    assert [c.revision for text in ("One", "One two") if (c := revise(segments, "a", text, False))] == [0, 1]
    assert revise(segments, "a", "One two", False) is None, "nothing new"
    final = revise(segments, "a", "One two.", True)
    assert final is not None and final.revision == 2
    assert revise(segments, "a", "Three", False) is None
    revise(segments, "b", "Hm", False)
    taken_back = revise(segments, "b", "", True)
    assert taken_back is not None and taken_back.final
    assert [c.segment for c in segments.snapshot()] == ["a"]
    revise(segments, "c", "Last", True)
    assert [c.segment for c in segments.snapshot()] == ["c"], "only so many are kept"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_frames_survive_any_cutting(cuts: list[int]) -> None:
    messages = [Done("t", index, index * 1.5) for index in range(5)]
    raw = b"".join(frame(message) for message in messages)
    frames, got, at = Frames(), [], 0
    while at < len(raw):
        size = cuts[at % len(cuts)]
        got += frames.feed(raw[at : at + size])
        at += size
    assert [to_server.decode(body) for body in got] == messages


def test_a_frame_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="frame of"):
        Frames().feed((LARGEST_FRAME + 1).to_bytes(4, "big"))


def tone(seconds: float) -> list[Packet]:
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(48_000 * seconds)) / 48_000)
    return [Packet(i * 960, 500.0 + i * 20, payload) for i, payload in enumerate(opus(wave.astype(np.float32)))]


def test_gaps_become_silence_and_the_room_clock_is_kept() -> None:
    packets = tone(1.0)
    lost = packets[:10] + packets[20:50]
    whole = sum(len(chunk.samples) for chunk in OpusDecoder().decode(packets[:50]))
    chunks = OpusDecoder().decode(lost)
    assert abs(sum(len(chunk.samples) for chunk in chunks) - whole) <= 32
    assert [chunk.jump for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
    gap = next(chunk for chunk in chunks if len(chunk.samples) == 3_200)
    assert not gap.samples.any() and abs(gap.start_ms - 700) < 5
    assert abs(chunks[-1].start_ms - (500 + 49 * 20)) < 5


def test_a_long_gap_is_a_jump_and_late_packets_are_dropped() -> None:
    decoder = OpusDecoder()
    packets = tone(0.2)
    decoder.decode(packets)
    later = Packet(packets[-1].timestamp + 48_000 * 60, 60_700.0, packets[0].payload)
    chunks = decoder.decode([later])
    assert chunks[-1].jump and chunks[-1].start_ms == 60_700.0
    assert len(chunks[0].samples) == 16_000 * 1.5
    assert decoder.decode([later]) == []


def test_what_says_the_same_again_is_doubted_where_the_recogniser_was_unsure() -> None:
    for text in (
        "I'm going to come back and say hello. I'm going to come back and say hello.",
        "Thank you very much for your time, thank you very much, thank you very much.",
        "We go to the other side, we go to the other side. We go on.",
    ):
        assert doubtful(text, text.split(), -0.7, 0.1) == "loop", text
        assert doubtful(text, text.split(), -0.3, 0.1) is None, "somebody said so"
    for text in (
        "No, no, no.",
        "Two in the morning and two in the evening.",
        "Give it now, give it now and then call me back at once please, as I said.",
    ):
        assert doubtful(text, text.split(), -0.7, 0.1) is None, text


def test_padding_is_not_counted_twice_when_the_packets_come_after_all() -> None:
    decoder = OpusDecoder()
    packets = tone(0.4)
    decoder.decode(packets[:10])
    assert sum(len(c.samples) for c in decoder.pad(300)) == 4_800
    after_gap = [Packet(p.timestamp + 48_000 // 2, p.media_ms + 500, p.payload) for p in packets[10:]]
    gap = decoder.decode(after_gap)[0]
    assert len(gap.samples) == 3_200, "half a second was missing, 300 ms of it were there already"


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_no_packet_can_break_the_decoder(payloads: list[bytes]) -> None:
    decoder = OpusDecoder()
    for index, payload in enumerate(payloads):
        for chunk in decoder.decode([Packet(index * 960, index * 20.0, payload)]):
            assert np.isfinite(chunk.samples).all()


def test_windows_leave_room_behind_the_speech() -> None:
    assert window_for(7.0, FULL_WINDOWS) == 10
    assert window_for(7.1, FULL_WINDOWS) == 12
    assert window_for(14.0, FULL_WINDOWS) == 18
    assert window_for(2.0, DRAFT_WINDOWS) == 4 and window_for(2.1, DRAFT_WINDOWS) == 5
    assert window_for(99.0, DRAFT_WINDOWS) == 30


class Script:
    """A translator that gives the answers of its table, and what it was asked otherwise."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers

    def translate_long(self, text: str) -> str:
        return self.answers.get(text, text)


def test_a_translation_with_a_wrong_number_is_tried_again_and_mended() -> None:
    script = Script({"Of 7,162 patients.": "De 7,162 pacientes.", "Of 7162 patients.": "De 7162 pacientes."})
    translator = Translator({("en", "pt"): script}, False)
    route = Route(False, (("en", "pt"),))
    assert translator.translate("Of 7,162 patients.", route) == Translated("De 7,162 pacientes."), (
        "interims are not held"
    )
    mended = translator.translate("Of 7,162 patients.", route, spoken="en", read="pt")
    assert mended == Translated("De 7162 pacientes.")
    assert (translator.counters["translations_mended"], translator.counters["translations_marked"]) == (1, 0)


def test_a_translation_that_stays_wrong_is_marked_and_counted() -> None:
    translator = Translator({("en", "pt"): Fake("Dê 50 mg de morfina.")}, False)
    result = translator.translate("Give 5 mg of morphine.", Route(False, (("en", "pt"),)), spoken="en", read="pt")
    assert result == Translated("Dê 50 mg de morfina.", ("dose",))
    assert translator.counters["translations_marked"] == translator.counters["translations_marked_dose"] == 1


def test_what_went_through_english_is_compared_with_what_was_said() -> None:
    pairs = {("pt", "en"): Fake("Take 15 mg."), ("en", "de"): Fake("Nehmen Sie 15 mg.")}
    translator = Translator(dict(pairs), False)
    route = translator.route("pt", "de")
    assert route is not None
    result = translator.translate("Tome 1,5 mg.", route, spoken="pt", read="de")
    assert result is not None and result.doubts == ("dose",)


def test_the_ways_to_ask_again_are_few_and_different() -> None:
    text = "We saw 1,500 of them, and then, because it was late and we were tired, went home."
    asked = [tuple(pieces) for pieces in ways(text, "en")]
    assert asked[0] == ("We saw 1500 of them, and then, because it was late and we were tired, went home.",)
    assert len(asked) == len(set(asked)) == 3
    assert list(ways("Yes", "en")) == []
    assert ungrouped("1.500 mg, 1.500,5 e 12.5", "pt") == "1500 mg, 1.500,5 e 12.5"


def test_terms_of_the_glossary_are_put_in_and_a_drug_that_is_missing_is_marked() -> None:
    script = Script(
        {
            "Take Tylenol for it.": "Tome Tylenol para isso.",
            "The droplets fall.": "As gotas caem.",
            "The gotículas fall.": "The gotículas caem.",
            "Small droplets fall.": "Pequenas gotas caem.",
            "Small gotículas fall.": "Pequenas gotículas caem.",
            "Start Clexane now.": "Comece agora.",
            "Start Clexan now.": "Comece agora.",
        }
    )
    translator = Translator({("en", "pt"): script}, False)

    def said(text: str, found: str, form: str, kind: Literal["term", "drug"]) -> Translated | None:
        route = Route(False, (("en", "pt"),))
        return translator.translate(text, route, spoken="en", read="pt", wanted=[Wanted(found, form, kind)])

    assert said("Take Tylenol for it.", "Tylenol", "paracetamol", "drug") == Translated("Tome paracetamol para isso.")
    assert said("Small droplets fall.", "droplets", "gotículas", "term") == Translated("Pequenas gotículas caem.")
    assert said("The droplets fall.", "droplets", "gotículas", "term") == Translated("As gotas caem."), (
        "a stray article"
    )
    assert said("Start Clexane now.", "Clexane", "Clexane", "drug") == Translated("Comece agora.", ("drug",))
    count = translator.counters
    assert (count["glossary_mended"], count["glossary_missed"], count["translations_marked_drug"]) == (2, 2, 1)
