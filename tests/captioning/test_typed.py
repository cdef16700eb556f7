"""Lines that a captioner types."""

from __future__ import annotations

from captioning.segment import Segments
from captioning.typed import Typed


def test_lines_grow_end_and_are_taken_back() -> None:
    typed = Typed(Segments())
    (first,) = typed.write("a", "cai", "ana", "en", "Good\x00 mor", False, 10.0)
    assert (first.tail, first.stable, first.start, first.revision, first.written_by) == ("Good mor", "", 10.0, 0, "cai")
    assert typed.write("a", "cai", "ana", "en", "Good  mor", False, 20.0) == [], "nothing new"
    (gone,) = typed.write("a", "cai", "ana", "en", "", True, 30.0)
    assert gone.final and not gone.stable and not gone.tail and gone.segment == first.segment
    assert typed.write("b", "cai", "ana", "en", " ", True, 40.0) == [] and typed.finish("cai", 41.0) == []
    (open_,) = typed.write("c", "cai", "ana", "en", "One", False, 50.0)
    other = typed.write("c", "eva", "ben", "pt", "Um", False, 51.0)
    assert (
        other[0].segment != open_.segment and typed.speaker("cai", "c") == "ana" and typed.speaker("cai", "b") is None
    )
    ended, new = typed.write("d", "cai", "ben", "en", "Two.", True, 60.0)
    assert (ended.stable, ended.final, new.stable, new.participant) == ("One", True, "Two.", "ben")
