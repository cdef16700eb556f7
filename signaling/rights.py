"""Roles, what each may do, and which permission each verb of the protocol needs."""

from __future__ import annotations

from typing import get_args

from signaling import protocol
from signaling.protocol import Permission, Role, Source

ROLES: tuple[Role, ...] = get_args(Role)
"""Highest first."""

_VIEWER: frozenset[Permission] = frozenset({"caption", "ask"})
_PARTICIPANT: frozenset[Permission] = _VIEWER | {"publish-audio", "publish-video", "publish-screen", "chat", "hand"}
_MODERATOR: frozenset[Permission] = _PARTICIPANT | {"moderate", "record", "answer", "broadcast"}
_HOST: frozenset[Permission] = _MODERATOR | {"manage"}

OF_ROLE: dict[Role, frozenset[Permission]] = {
    "host": _HOST,
    "moderator": _MODERATOR,
    "participant": _PARTICIPANT,
    "viewer": _VIEWER,
}

TO_PUBLISH: dict[Source, Permission] = {
    "microphone": "publish-audio",
    "camera": "publish-video",
    "screen": "publish-screen",
    "screen-audio": "publish-screen",
}

NEEDED: dict[type[protocol.Request], Permission | None] = {
    protocol.PublishOffer: None,  # checked per track, by TO_PUBLISH
    protocol.SubscribeAnswer: None,
    protocol.SubscribeRestart: None,
    protocol.View: None,
    protocol.MediaReport: None,
    protocol.SetMuted: None,  # one's own tracks only
    protocol.SetLanguages: "caption",
    protocol.SetCaptioned: None,  # one's own words only
    protocol.CorrectCaption: "moderate",
    protocol.AddTerm: "moderate",
    protocol.SetCaptioner: "moderate",
    protocol.TakeCaptions: "transcribe",
    protocol.WriteCaption: "transcribe",
    protocol.SetInterpreter: "moderate",
    protocol.TakeChannel: None,  # channels that one was given only
    protocol.SetRelay: None,  # of channels that one was given, else moderators
    protocol.HearChannel: None,
    protocol.SetSigning: "moderate",
    protocol.SendChat: "chat",
    protocol.RaiseHand: "hand",
    protocol.MuteParticipant: "moderate",
    protocol.LowerHand: "moderate",
    protocol.RemoveParticipant: "moderate",
    protocol.Admit: "moderate",
    protocol.Deny: "moderate",
    protocol.SetLobby: "moderate",
    protocol.SetSpoken: "moderate",
    protocol.SetAgenda: "moderate",
    protocol.MarkAgenda: "moderate",
    protocol.SetRole: "moderate",
    protocol.StartRecording: "record",
    protocol.Consent: None,  # for oneself only
    protocol.StopRecording: "record",
    protocol.Ask: "ask",
    protocol.Vote: "ask",
    protocol.SettleQuestion: "answer",
    protocol.MergeQuestion: "answer",
    protocol.SetQuestions: "moderate",
    protocol.MakePoll: "moderate",
    protocol.SettlePoll: "moderate",
    protocol.Ballot: "ask",
    protocol.React: None,
    protocol.PlanBroadcast: "broadcast",
    protocol.MakeTickets: "broadcast",
    protocol.RevokeTicket: "broadcast",
    protocol.ListTickets: "broadcast",
    protocol.GoLive: "broadcast",
    protocol.PauseBroadcast: "broadcast",
    protocol.EndBroadcast: "broadcast",
    protocol.Spotlight: "broadcast",
    protocol.AnswerHand: "broadcast",
    protocol.SendBack: "broadcast",
    protocol.SetHands: "broadcast",
    protocol.SetLayout: "moderate",
    protocol.SetHolding: "broadcast",
    protocol.Oversee: "broadcast",
    protocol.ShowName: "broadcast",
    protocol.AddPush: "broadcast",
    protocol.RemovePush: "broadcast",
    protocol.ListPushes: "broadcast",
    protocol.SetInstitution: None,  # one's own, else moderators
    protocol.Ping: None,
    protocol.Leave: None,
}


def permissions(role: Role) -> frozenset[Permission]:
    """What a role may do."""
    return OF_ROLE[role]


def outranks(role: Role, other: Role) -> bool:
    """Whether `role` stands strictly above `other`."""
    return ROLES.index(role) < ROLES.index(other)


def may_give(giver: Role, given: Role) -> bool:
    """Nobody grants what they do not hold: links are made by those who manage, up to their own role."""
    return "manage" in OF_ROLE[giver] and OF_ROLE[given] <= OF_ROLE[giver]
