"""The rules of interpreters' channels, without a room."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from signaling import channels
from signaling.channels import Channels
from signaling.refusal import Refusal


def test_one_at_a_time_hands_over_and_is_heard_by_those_who_chose_it() -> None:
    rules = Channels()
    assert rules.give("ana", "es") and rules.give("ben", "es") and not rules.give("ben", "es")
    with pytest.raises(Refusal) as refused:
        rules.take("eva", "es")
    assert refused.value.code == "not-allowed"
    rules.take("ana", "es")
    chosen = {"ana": None, "ben": "es", "eva": "es", "leo": "pt", "flo": None}
    assert rules.listeners(chosen) == {"ana": frozenset({"ben", "eva"})}
    rules.take("ben", "es")
    assert rules.on_air() == {"ben": "es"}
    # Who is on the air hears the floor, whatever they chose: their own channel least of all.
    assert rules.listeners(chosen | {"ana": "es"}) == {"ben": frozenset({"ana", "eva"})}
    rules.take("ben", None)
    assert rules.on_air() == {} and rules.listeners(chosen) == {}
    assert [channel.interpreters for channel in rules.view()] == [["ana", "ben"]]


def test_relay_is_heard_instead_of_the_floor_and_never_in_a_circle() -> None:
    rules = Channels()
    for who, language in (("ana", "en"), ("ben", "es"), ("cai", "pt")):
        rules.give(who, language)
        rules.take(who, language)
    assert rules.relay("es", "en") and not rules.relay("es", "en")
    assert rules.relay("pt", "es")
    chosen: dict[str, str | None] = dict.fromkeys(("ana", "ben", "cai", "eva"))
    assert rules.listeners(chosen | {"eva": "en"}) == {
        "ana": frozenset({"ben", "eva"}), "ben": frozenset({"cai"}), "cai": frozenset(),
    }  # fmt: skip
    for language, source in (("en", "pt"), ("en", "en")):
        with pytest.raises(Refusal):
            rules.relay(language, source)
    for language, source in (("fr", "en"), ("en", "fr")):
        with pytest.raises(Refusal) as refused:
            rules.relay(language, source)
        assert refused.value.code == "not-found"
    assert rules.relay("es", None) and rules.relay("en", "pt")
    assert rules.withdraw("cai", "pt") and not rules.withdraw("cai", "pt")
    assert [(one.language, one.listens) for one in rules.view()] == [("en", None), ("es", None)]


def test_there_is_an_end_to_them() -> None:
    rules = Channels()
    for number in range(channels.MOST):
        rules.give("ana", f"x{chr(97 + number)}")
    for number in range(channels.MOST_INTERPRETERS - 1):
        rules.give(f"p{number}", "xa")
    for who, language in (("ana", "es"), ("one more", "xa")):
        with pytest.raises(Refusal) as refused:
            rules.give(who, language)
        assert refused.value.code == "unavailable"


PEOPLE, LANGUAGES = st.sampled_from("abcd"), st.sampled_from(["en", "es", "pt"])


class AnyOrder(RuleBasedStateMachine):
    """Whatever is asked for in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = Channels()

    @rule(who=PEOPLE, language=LANGUAGES, away=st.booleans())
    def given(self, who: str, language: str, away: bool) -> None:
        (self.rules.withdraw if away else self.rules.give)(who, language)

    @rule(who=PEOPLE, language=st.none() | LANGUAGES)
    def taken(self, who: str, language: str | None) -> None:
        before = self.rules.view()
        try:
            self.rules.take(who, language)
        except Refusal:
            assert self.rules.view() == before

    @rule(language=LANGUAGES, source=st.none() | LANGUAGES)
    def relayed(self, language: str, source: str | None) -> None:
        before = self.rules.view()
        try:
            self.rules.relay(language, source)
        except Refusal:
            assert self.rules.view() == before

    @invariant()
    def nobody_is_where_they_may_not_be(self) -> None:
        view = {channel.language: channel for channel in self.rules.view()}
        on_air = [channel.speaking for channel in view.values() if channel.speaking is not None]
        assert len(on_air) == len(set(on_air)), "one channel each"
        for channel in view.values():
            assert channel.interpreters and channel.speaking in (None, *channel.interpreters)
            seen, heard = {channel.language}, channel.listens
            while heard is not None:
                assert heard not in seen and heard in view
                seen.add(heard)
                heard = view[heard].listens
        chosen: dict[str, str | None] = dict.fromkeys("abcd", "es")
        reached = [one for listeners in self.rules.listeners(chosen).values() for one in listeners]
        assert len(reached) == len(set(reached)), "nobody hears two"


TestAnyOrder = AnyOrder.TestCase
