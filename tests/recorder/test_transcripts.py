"""Words of a recording as files: each can be read by what reads such files."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

import docx
import msgspec
import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.manifest import ChatLine, Line, Manifest, Question
from recorder.transcripts import FORMATS
from recorder.written import Rendered, Renderings


def recording(*lines: Line, title: str = "Round <1>") -> Manifest:
    return Manifest(
        version=1, id="r1", room="room", title=title, purpose="", started_by="Ann",
        started_at=datetime(2026, 3, 4, 9, 30, tzinfo=UTC), duration=60_000, state="complete", problem=None, people=[],
        tracks=[], languages=["en", "pt"], captions={}, transcript=list(lines), chat=[], speakers=[], master="m.m3u8",
        files={}, bytes=0,
    )  # fmt: skip


def line(text: str, start: float = 0, **more: object) -> Line:
    known: dict[str, object] = {"guard": {}, "texts": {"en": text}, **more}
    return Line(
        segment=f"s{start}", participant="a", name="Ann & co", source="en", start=start, end=start + 2_000, **known
    )  # type: ignore[arg-type]


GOOD = line("Hello there.", 0, texts={"en": "Hello there.", "pt": "Olá."})
WRONG = line(
    "Give 5 mg --> now.",
    61 * 60_000 % 60_000 + 5_000,
    texts={"en": "Give 5 mg --> now.", "pt": "Dê 50 mg já."},
    guard={"pt": ["dose"]},
    heard="Give five mg now.",
    doubtful=[1],
)


def written(extension: str, language: str) -> bytes:
    return FORMATS[extension].write(recording(GOOD, WRONG), language, Renderings())


def test_captions_can_be_parsed_and_carry_the_mark() -> None:
    found = webvtt.from_buffer(io.StringIO(written("vtt", "pt").decode()))
    assert [c.text for c in found] == ["Olá.", "[?] Dê 50 mg já."]
    srt = webvtt.from_buffer(io.StringIO(written("srt", "pt").decode().replace("\r", "")), format="srt")
    assert [c.text for c in srt] == ["Ann & co: Olá.", "[?] Dê 50 mg já."]
    assert srt[1].start == "00:00:05.000"


def test_plain_text_has_names_times_and_originals_of_what_may_be_wrong() -> None:
    text = written("txt", "pt").decode()
    assert text.splitlines() == [
        "Round <1>",
        "2026-03-04 09:30 UTC",
        "",
        "[0:00:00] Ann & co: Olá.",
        "[0:00:05] Ann & co: [?] Dê 50 mg já.",
        "    (en: Give 5 mg --> now.)",
    ]


def test_words_not_heard_clearly_are_marked_in_every_file_and_what_was_heard_is_told() -> None:
    vtt = written("vtt", "en").decode()
    assert "<v Ann &amp; co>Give <u>5</u> mg --&gt; now." in vtt and "NOTE heard: Give five mg now." in vtt
    assert "Give <u>5</u> mg -> now." in written("srt", "en").decode()
    assert written("txt", "en").decode().splitlines()[-2:] == [
        "[0:00:05] Ann & co: Give 5(?) mg --> now.",
        "    (heard: Give five mg now.)",
    ]
    assert "<u>" not in written("vtt", "pt").decode(), "they are words of the original"


def test_a_doubtful_word_keeps_its_mark_where_lines_break_and_captions_overlap() -> None:
    long = " ".join(f"word{n}" for n in range(40))
    both = recording(line(long, 0, doubtful=[9, 31]), line("Dose then.", 1, doubtful=[1]))
    for extension in ("vtt", "srt"):
        found = re.findall("<u>(.*?)</u>", FORMATS[extension].write(both, "en", Renderings()).decode())
        assert set(found) == {"word9", "word31", "then."}, extension


def test_json_has_everything() -> None:
    made = json.loads(written("json", "pt"))
    assert (made["language"], made["startedAt"]) == ("pt", "2026-03-04T09:30:00+00:00")
    assert made["lines"][1]["guard"] == ["dose"] and made["lines"][1]["original"] == "Give 5 mg --> now."
    original = json.loads(written("json", "en"))["lines"][1]
    assert (original["heard"], original["doubtful"]) == ("Give five mg now.", [1])


def test_a_word_processor_can_open_the_document() -> None:
    document = docx.Document(io.BytesIO(written("docx", "en")))
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert texts[0] == "Round <1>" and "Give 5 mg --> now." in texts[-1]
    dotted = [run.text for p in document.paragraphs for run in p.runs if run.font.underline not in (None, False)]
    assert dotted == ["5"]
    translated = docx.Document(io.BytesIO(written("docx", "pt")))
    assert "[?] Dê 50 mg já." in translated.paragraphs[-1].text
    assert [run.text for run in translated.paragraphs[-1].runs if run.italic] == ["\nGive 5 mg --> now."]


@pytest.mark.parametrize("extension", sorted(FORMATS))
@settings(max_examples=30)
@given(text=st.text(min_size=1, max_size=60), name=st.text(max_size=20))
def test_no_words_can_break_a_file(extension: str, text: str, name: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    made = recording(line(text), title=name.encode("utf-8", "replace").decode())
    if extension != "docx" or len(text) < 20:  # documents are slow to write
        FORMATS[extension].write(made, "en", Renderings()).decode("utf-8", "ignore")


def test_what_was_written_is_there_in_the_language_with_its_doubts_and_in_no_captions() -> None:
    asked = Question(
        name="Eve", text="Before food?", at=9_000, votes=2, answer="Yes.\n[0:00:00] Ann: no", answered_by="Bob"
    )
    lines = [ChatLine(participant="a", name="Ann", text="Take five.", at=3_000)]
    one = msgspec.structs.replace(recording(GOOD), chat=lines, questions=[asked])
    made = Renderings(
        made={
            "pt": [
                Rendered(of="Take five.", source="en", text="Tome cinco."),
                Rendered(of="Before food?", source="en", text="Antes da comida?", guard=["negation"]),
                Rendered(of="Not in this one", source="en", text="Segredo"),
            ]
        }
    )
    text = FORMATS["txt"].write(one, "pt", made).decode()
    assert text.splitlines()[3:] == [
        "[0:00:00] Ann & co: Olá.",
        "",
        "[0:00:03] \u270e Ann: Tome cinco.",
        "[0:00:09] \u270e Eve: [?] Antes da comida?",
        "    (en: Before food?)",
        "[0:00:09] \u270e Bob: Yes. [0:00:00] Ann: no",
    ]
    found = json.loads(FORMATS["json"].write(one, "pt", made))["written"]
    assert [(note["text"], note["original"], note["guard"]) for note in found] == [
        ("Tome cinco.", "Take five.", []),
        ("Antes da comida?", "Before food?", ["negation"]),
        ("Yes.\n[0:00:00] Ann: no", None, []),
    ]
    word = "\n".join(p.text for p in docx.Document(io.BytesIO(FORMATS["docx"].write(one, "pt", made))).paragraphs)
    assert "Tome cinco." in word and "[?] Antes da comida?\nBefore food?" in word
    for extension in FORMATS:
        assert b"Segredo" not in FORMATS[extension].write(one, "pt", made)
    assert b"cinco" not in FORMATS["vtt"].write(one, "pt", made) + FORMATS["srt"].write(one, "pt", made)
