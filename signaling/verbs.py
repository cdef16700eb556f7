"""What each client message does, after its permission was checked. One short function per verb."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from captioning.imports import GlossaryError, checked
from community.glossary import GlossaryFull, NewTerm
from sfu.interface import SdpError, Tile, TrackLabel
from signaling import protocol
from signaling.captions import terms_for
from signaling.names import clean
from signaling.people import Participant
from signaling.refusal import Refusal
from signaling.rights import NEEDED, TO_PUBLISH, outranks
from signaling.roles import give
from signaling.room import Room

log = structlog.get_logger("verbs")

Verb = Callable[[Room, Participant, Any], Awaitable[None]]


def _person(room: Room, participant: str) -> Participant:
    found = room.people.get(participant)
    if found is None:
        raise Refusal("not-found", "nobody here has this id", participant)
    return found


async def _audit(room: Room, me: Participant, act: str, subject: str | None = None) -> None:
    log.info(act, room=room.id, by=me.id, subject=subject)
    await room.parts.store.audit.write(act, f"participant:{me.id}", room=room.id, subject=subject)


async def publish(room: Room, me: Participant, message: protocol.PublishOffer) -> None:
    for label in message.tracks:
        if not me.may(TO_PUBLISH[label.source]):
            raise Refusal("not-allowed", f"you may not publish {label.source}", label.mid)
    labels = [TrackLabel(t.mid, t.source, t.width or 0, t.height or 0) for t in message.tracks]
    try:
        published = await room.media.publish(me.id, message.sdp, labels)
    except SdpError as error:
        raise Refusal("bad-sdp", str(error)) from None
    if me.peer is not None:
        me.peer.send(protocol.PublishAnswer(sdp=published.sdp, tracks=published.tracks))


async def answer(room: Room, me: Participant, message: protocol.SubscribeAnswer) -> None:
    try:
        await room.media.answer(me.id, message.revision, message.sdp)
    except SdpError as error:
        raise Refusal("bad-sdp", str(error)) from None


async def restart(room: Room, me: Participant, message: protocol.SubscribeRestart) -> None:
    room.media.restart_subscribe(me.id, message.rebuild)


async def view(room: Room, me: Participant, message: protocol.View) -> None:
    tiles = {tile.track: tile for tile in message.tiles}
    if len(tiles) != len(message.tiles):
        raise Refusal("malformed", "a track is listed twice")
    room.media.view(me.id, [Tile(t.track, t.width, t.height, t.visible, t.pinned) for t in message.tiles])


async def media_report(room: Room, me: Participant, message: protocol.MediaReport) -> None:
    me.report, me.reported = message, room.now


async def set_muted(room: Room, me: Participant, message: protocol.SetMuted) -> None:
    track = me.tracks.get(message.track)
    if track is None:
        raise Refusal("not-found", "you have no such track", message.track)
    if not message.muted and not me.may(TO_PUBLISH[track.source]):
        raise Refusal("not-allowed", f"you may not publish {track.source}", track.id)
    if track.muted != message.muted:
        room.set_muted(me, track, message.muted)


async def set_languages(room: Room, me: Participant, message: protocol.SetLanguages) -> None:
    room.languages(me, message.spoken, message.reads)


async def set_captioned(room: Room, me: Participant, message: protocol.SetCaptioned) -> None:
    if (me.captioned, me.named) != (message.captioned, message.named):
        me.captioned, me.named = message.captioned, message.named
        room.listen(me)
        room.words.unnamed.hide(me.id, not me.named)
        room.recording.captioned(me)
        room.changed(me)


async def correct_caption(room: Room, me: Participant, message: protocol.CorrectCaption) -> None:
    room.words.correct(message.segment, message.revision, message.text, me.id)
    await _audit(room, me, "correct-caption", message.segment)


async def add_term(room: Room, me: Participant, message: protocol.AddTerm) -> None:
    store = room.parts.store
    try:
        term = checked(message.term, message.language, "term", [message.heard] if message.heard.strip() else [], {})
        await store.glossary.put(room.id, [NewTerm(term.language, term.term, "term", term.aliases)])
    except GlossaryError as error:
        raise Refusal("malformed", str(error)) from None
    except GlossaryFull as error:
        raise Refusal("unavailable", str(error)) from None
    room.words.glossary(await terms_for(store, room.id))
    await _audit(room, me, "glossary-term", term.term)


async def set_captioner(room: Room, me: Participant, message: protocol.SetCaptioner) -> None:
    person = _person(room, message.participant)
    if room.captioners.give(person, message.captioner):
        await _audit(room, me, "captioner" if message.captioner else "captioner-off", person.id)


async def take_captions(room: Room, me: Participant, message: protocol.TakeCaptions) -> None:
    if message.taken:
        room.captioners.take(me, message.of)
        await _audit(room, me, "captions-taken", message.of)
    else:
        room.captioners.leave_to_machine(me)


async def write_caption(room: Room, me: Participant, message: protocol.WriteCaption) -> None:
    room.captioners.write(me, message)


async def set_interpreter(room: Room, me: Participant, message: protocol.SetInterpreter) -> None:
    person = _person(room, message.participant)
    act = room.interpreters.give if message.interpreter else room.interpreters.withdraw
    if act(person, message.language):
        name = "interpreter" if message.interpreter else "interpreter-off"
        await _audit(room, me, name, f"{person.id} {message.language}")


async def take_channel(room: Room, me: Participant, message: protocol.TakeChannel) -> None:
    room.interpreters.take(me, message.language)
    await _audit(room, me, "channel-taken" if message.language else "channel-left", message.language)


async def set_relay(room: Room, me: Participant, message: protocol.SetRelay) -> None:
    if room.interpreters.relay(me, message.language, message.listens):
        await _audit(room, me, "channel-relay", f"{message.language} {message.listens or 'floor'}")


async def hear_channel(room: Room, me: Participant, message: protocol.HearChannel) -> None:
    room.interpreters.hear(me, message.language)


async def set_signing(room: Room, me: Participant, message: protocol.SetSigning) -> None:
    if message.participant is not None:
        _person(room, message.participant)
    if room.interpreters.sign(message.participant):
        await _audit(room, me, "signing", message.participant)


async def send_chat(room: Room, me: Participant, message: protocol.SendChat) -> None:
    await room.chat.send(me, message)


async def raise_hand(room: Room, me: Participant, message: protocol.RaiseHand) -> None:
    if message.raised != (me.hand is not None):
        me.hand = room.now if message.raised else None
        room.changed(me)


async def mute_participant(room: Room, me: Participant, message: protocol.MuteParticipant) -> None:
    person = _person(room, message.participant)
    for track in [t for t in person.tracks.values() if t.kind == message.kind and not t.muted]:
        room.set_muted(person, track, True)
        if person.peer is not None:
            person.peer.send(protocol.MutedBy(track=track.id, by=me.id))
    await _audit(room, me, f"mute-{message.kind}", person.id)


async def lower_hand(room: Room, me: Participant, message: protocol.LowerHand) -> None:
    person = _person(room, message.participant)
    if person.hand is not None:
        person.hand = None
        room.changed(person)
        await _audit(room, me, "lower-hand", person.id)


async def remove_participant(room: Room, me: Participant, message: protocol.RemoveParticipant) -> None:
    person = _person(room, message.participant)
    if person is me or outranks(person.role, me.role):
        raise Refusal("not-allowed", "you may not remove this person", person.id)
    room.removed.add(person.jti)
    if person.visitor is not None and person.visitor != me.visitor:
        room.removed.add(person.visitor)
    peer = person.peer
    room.leave(person, "removed")
    if peer is not None:
        peer.close(protocol.Closed(reason="removed", message="a moderator removed you", retry=False))
    await _audit(room, me, "remove", person.id)


async def admit(room: Room, me: Participant, message: protocol.Admit) -> None:
    if message.participant is None:
        people = room.lobby.take_all()
    else:
        person = room.lobby.take(message.participant)
        if person is None:
            raise Refusal("not-found", "nobody with this id waits", message.participant)
        people = [person]
    for place, person in enumerate(people):
        if room.full:
            for left in people[place:]:
                room.lobby.add(left, room.now)
            room.lobby_changed()
            raise Refusal("unavailable", "the room is full")
        room.enter(person)
        await _audit(room, me, "admit", person.id)
    room.lobby_changed()


async def deny(room: Room, me: Participant, message: protocol.Deny) -> None:
    person = room.lobby.take(message.participant)
    if person is None:
        raise Refusal("not-found", "nobody with this id waits", message.participant)
    if person.peer is not None:
        person.peer.close(protocol.Closed(reason="denied", message="a moderator did not let you in", retry=False))
    room.lobby_changed()
    await _audit(room, me, "deny", person.id)


async def set_lobby(room: Room, me: Participant, message: protocol.SetLobby) -> None:
    if room.lobby_on != message.enabled:
        room.lobby_on = message.enabled
        room.room_changed()
        await room.parts.store.rooms.set_lobby(room.id, message.enabled)
        await _audit(room, me, "lobby-on" if message.enabled else "lobby-off")


async def set_spoken(room: Room, me: Participant, message: protocol.SetSpoken) -> None:
    if room.words.declare(message.languages):
        room.room_changed()
        await room.parts.store.rooms.set_spoken(room.id, room.words.among)
        await _audit(room, me, "spoken", " ".join(room.words.among) or None)


async def set_agenda(room: Room, me: Participant, message: protocol.SetAgenda) -> None:
    if room.agenda.write(message.items):
        room.agenda_changed()
        await room.parts.store.rooms.set_agenda(room.id, room.agenda.items)
        await _audit(room, me, "agenda", str(len(room.agenda.items)))


async def mark_agenda(room: Room, me: Participant, message: protocol.MarkAgenda) -> None:
    if room.agenda.mark(message.current, message.item, room.now):
        room.agenda_changed()
        await _audit(room, me, "agenda-item", None if message.current is None else str(message.current + 1))


async def set_role(room: Room, me: Participant, message: protocol.SetRole) -> None:
    person = _person(room, message.participant)
    if give(room, me, person, message.role):
        await _audit(room, me, f"role-{message.role}", person.id)


async def start_recording(room: Room, me: Participant, message: protocol.StartRecording) -> None:
    await room.recording.start(me, message.purpose)


async def consent(room: Room, me: Participant, message: protocol.Consent) -> None:
    await room.recording.consent(me, message.agreed)


async def stop_recording(room: Room, me: Participant, message: protocol.StopRecording) -> None:
    await room.recording.stop(me)


async def ask(room: Room, me: Participant, message: protocol.Ask) -> None:
    await room.questions.ask(me, message)


async def vote(room: Room, me: Participant, message: protocol.Vote) -> None:
    await room.questions.vote(me, message)


async def settle_question(room: Room, me: Participant, message: protocol.SettleQuestion) -> None:
    await room.questions.settle(me, message)
    await _audit(room, me, f"question-{message.state}", message.question)


async def merge_question(room: Room, me: Participant, message: protocol.MergeQuestion) -> None:
    await room.questions.merge(message.question, message.into)
    await _audit(room, me, "question-merged", message.question)


async def set_questions(room: Room, me: Participant, message: protocol.SetQuestions) -> None:
    room.questions.rules = protocol.QuestionRules(
        open=message.open, moderated=message.moderated, anonymous=message.anonymous
    )
    room.room_changed()
    room.live.rules_changed()
    await _audit(room, me, "questions-on" if message.open else "questions-off")


async def make_poll(room: Room, me: Participant, message: protocol.MakePoll) -> None:
    await room.polls.make(me, message)


async def settle_poll(room: Room, me: Participant, message: protocol.SettlePoll) -> None:
    await room.polls.settle(message)
    await _audit(room, me, f"poll-{message.state}", message.poll)


async def ballot(room: Room, me: Participant, message: protocol.Ballot) -> None:
    await room.polls.vote(room.questions.who_is(me), message.poll, message.choices)


async def react(room: Room, me: Participant, message: protocol.React) -> None:
    room.reactions.add(room.questions.who_is(me), message.reaction)


async def plan_broadcast(room: Room, me: Participant, message: protocol.PlanBroadcast) -> None:
    await room.live.plan(message)
    await _audit(room, me, "broadcast-plan")


async def make_tickets(room: Room, me: Participant, message: protocol.MakeTickets) -> None:
    await room.live.box_office.make(message.names)
    await _audit(room, me, "broadcast-tickets", str(len(message.names)))
    await list_tickets(room, me, protocol.ListTickets())


async def revoke_ticket(room: Room, me: Participant, message: protocol.RevokeTicket) -> None:
    await room.live.box_office.revoke(message.ticket)
    await _audit(room, me, "broadcast-ticket-revoke", message.ticket)
    await list_tickets(room, me, protocol.ListTickets())


async def add_push(room: Room, me: Participant, message: protocol.AddPush) -> None:
    room.live.pushes.add(message)
    await _audit(room, me, "broadcast-push")


async def remove_push(room: Room, me: Participant, message: protocol.RemovePush) -> None:
    room.live.pushes.remove(message.push)
    await _audit(room, me, "broadcast-push-remove", message.push)


async def list_pushes(room: Room, me: Participant, message: protocol.ListPushes) -> None:
    if me.peer is not None:
        me.peer.send(room.live.pushes.state(), key="pushes")


async def list_tickets(room: Room, me: Participant, message: protocol.ListTickets) -> None:
    tickets = await room.live.box_office.all()
    if me.peer is not None:
        me.peer.send(protocol.Tickets(tickets=tickets), key="tickets")


async def go_live(room: Room, me: Participant, message: protocol.GoLive) -> None:
    await room.live.go_live(me, message.countdown)
    await _audit(room, me, "broadcast-live")


async def pause_broadcast(room: Room, me: Participant, message: protocol.PauseBroadcast) -> None:
    room.live.pause(message.paused)
    await _audit(room, me, "broadcast-pause" if message.paused else "broadcast-resume")


async def end_broadcast(room: Room, me: Participant, message: protocol.EndBroadcast) -> None:
    await room.live.end(me)
    await _audit(room, me, "broadcast-end")


async def spotlight(room: Room, me: Participant, message: protocol.Spotlight) -> None:
    if message.participant is not None:
        _person(room, message.participant)
    room.live.spotlight(message.participant)
    await _audit(room, me, "broadcast-spotlight", message.participant)


async def answer_hand(room: Room, me: Participant, message: protocol.AnswerHand) -> None:
    room.live.hands.answer(message.hand, message.answer)
    await _audit(room, me, f"hand-{message.answer}", message.hand)


async def send_back(room: Room, me: Participant, message: protocol.SendBack) -> None:
    person = _person(room, message.participant)
    room.live.hands.back(person)
    await _audit(room, me, "send-back", person.id)


async def set_layout(room: Room, me: Participant, message: protocol.SetLayout) -> None:
    if room.layout != message.layout:
        room.layout = message.layout
        room.room_changed()


async def set_hands(room: Room, me: Participant, message: protocol.SetHands) -> None:
    room.live.hands.set_open(message.open)
    await _audit(room, me, "hands-on" if message.open else "hands-off")


async def set_holding(room: Room, me: Participant, message: protocol.SetHolding) -> None:
    try:
        image = base64.b64decode(message.image, validate=True)
    except ValueError:
        raise Refusal("malformed", "this is no base64") from None
    await room.live.hold_image(image)
    await _audit(room, me, "broadcast-image" if image else "broadcast-image-off")


async def oversee(room: Room, me: Participant, message: protocol.Oversee) -> None:
    room.overview.tell(me.id, message.on)


async def show_name(room: Room, me: Participant, message: protocol.ShowName) -> None:
    room.live.thirds.show(_person(room, message.participant))


async def set_institution(room: Room, me: Participant, message: protocol.SetInstitution) -> None:
    person = _person(room, message.participant)
    if person is not me and not me.may("moderate"):
        raise Refusal("not-allowed", "this needs the permission moderate")
    institution = clean(message.institution)
    if institution != person.institution:
        person.institution = institution
        room.changed(person)


VERBS: dict[type[protocol.Request], Verb] = {
    protocol.PublishOffer: publish,
    protocol.SubscribeAnswer: answer,
    protocol.SubscribeRestart: restart,
    protocol.View: view,
    protocol.MediaReport: media_report,
    protocol.SetMuted: set_muted,
    protocol.SetLanguages: set_languages,
    protocol.SetCaptioned: set_captioned,
    protocol.CorrectCaption: correct_caption,
    protocol.AddTerm: add_term,
    protocol.SetCaptioner: set_captioner,
    protocol.TakeCaptions: take_captions,
    protocol.WriteCaption: write_caption,
    protocol.SetInterpreter: set_interpreter,
    protocol.TakeChannel: take_channel,
    protocol.SetRelay: set_relay,
    protocol.HearChannel: hear_channel,
    protocol.SetSigning: set_signing,
    protocol.SendChat: send_chat,
    protocol.RaiseHand: raise_hand,
    protocol.MuteParticipant: mute_participant,
    protocol.LowerHand: lower_hand,
    protocol.RemoveParticipant: remove_participant,
    protocol.Admit: admit,
    protocol.Deny: deny,
    protocol.SetLobby: set_lobby,
    protocol.SetSpoken: set_spoken,
    protocol.SetAgenda: set_agenda,
    protocol.MarkAgenda: mark_agenda,
    protocol.SetRole: set_role,
    protocol.StartRecording: start_recording,
    protocol.Consent: consent,
    protocol.StopRecording: stop_recording,
    protocol.Ask: ask,
    protocol.Vote: vote,
    protocol.SettleQuestion: settle_question,
    protocol.MergeQuestion: merge_question,
    protocol.SetQuestions: set_questions,
    protocol.MakePoll: make_poll,
    protocol.SettlePoll: settle_poll,
    protocol.Ballot: ballot,
    protocol.React: react,
    protocol.PlanBroadcast: plan_broadcast,
    protocol.MakeTickets: make_tickets,
    protocol.RevokeTicket: revoke_ticket,
    protocol.ListTickets: list_tickets,
    protocol.AddPush: add_push,
    protocol.RemovePush: remove_push,
    protocol.ListPushes: list_pushes,
    protocol.GoLive: go_live,
    protocol.PauseBroadcast: pause_broadcast,
    protocol.EndBroadcast: end_broadcast,
    protocol.Spotlight: spotlight,
    protocol.AnswerHand: answer_hand,
    protocol.SendBack: send_back,
    protocol.SetHands: set_hands,
    protocol.SetLayout: set_layout,
    protocol.SetHolding: set_holding,
    protocol.Oversee: oversee,
    protocol.ShowName: show_name,
    protocol.SetInstitution: set_institution,
}
"""Ping and Leave belong to the session (`signaling.session`)."""


async def perform(room: Room, me: Participant, message: protocol.Request) -> None:
    """Does what a message asks for; raises Refusal when the sender may not or it cannot be."""
    needed = NEEDED[type(message)]
    if needed is not None and not me.may(needed):
        raise Refusal("not-allowed", f"this needs the permission {needed}")
    await VERBS[type(message)](room, me, message)
