"""The wire: every message between a browser and the server, over one WebSocket, as JSON objects tagged by ``type``.

This module is the single source of truth: the JSON schema, the TypeScript types and docs/protocol.md are generated from
it (``python -m signaling.schema``), and a test fails when they drift. Unknown fields are ignored and unknown types are
refused, so that older clients keep working while `VERSION` stays the same. Identity and rights come from the session,
never from a message.

A client message may carry ``id``; the server then answers it with `Ack` or `Error` naming that id.
Times are room time (milliseconds since the room opened) unless a field says otherwise.
"""

from __future__ import annotations

import msgspec

# isort: off
from captioning.caption import Caption as Caption
from captioning.guard import Doubt as Doubt
from signaling.messages.base import Message as Message, Request as Request
from signaling.messages.broadcast import (
    AnswerHand as AnswerHand,
    EndBroadcast as EndBroadcast,
    GoLive as GoLive,
    Oversee as Oversee,
    AddPush as AddPush,
    ListPushes as ListPushes,
    RemovePush as RemovePush,
    ListTickets as ListTickets,
    MakeTickets as MakeTickets,
    PauseBroadcast as PauseBroadcast,
    PlanBroadcast as PlanBroadcast,
    RevokeTicket as RevokeTicket,
    SendBack as SendBack,
    SetHands as SetHands,
    SetHolding as SetHolding,
    ShowName as ShowName,
    Spotlight as Spotlight,
)
from signaling.messages.captions import (
    AddTerm as AddTerm,
    CorrectCaption as CorrectCaption,
    SetCaptioner as SetCaptioner,
    TakeCaptions as TakeCaptions,
    WriteCaption as WriteCaption,
)
from signaling.messages.interpreting import (
    HearChannel as HearChannel,
    SetInterpreter as SetInterpreter,
    SetRelay as SetRelay,
    SetSigning as SetSigning,
    TakeChannel as TakeChannel,
)
from signaling.messages.moderation import (
    Admit as Admit,
    Consent as Consent,
    Deny as Deny,
    LowerHand as LowerHand,
    MarkAgenda as MarkAgenda,
    MuteParticipant as MuteParticipant,
    RemoveParticipant as RemoveParticipant,
    SetAgenda as SetAgenda,
    SetLayout as SetLayout,
    SetLobby as SetLobby,
    SetRole as SetRole,
    SetSpoken as SetSpoken,
    StartRecording as StartRecording,
    StopRecording as StopRecording,
)
from signaling.messages.notices import (
    Ack as Ack,
    Captioned as Captioned,
    Changed as Changed,
    Chatted as Chatted,
    Closed as Closed,
    Encodings as Encodings,
    Error as Error,
    HandsChanged as HandsChanged,
    Joined as Joined,
    Left as Left,
    LobbyChanged as LobbyChanged,
    MutedBy as MutedBy,
    Overview as Overview,
    PermissionsChanged as PermissionsChanged,
    PollsChanged as PollsChanged,
    Pong as Pong,
    PublishAnswer as PublishAnswer,
    Quality as Quality,
    QuestionsChanged as QuestionsChanged,
    Reacted as Reacted,
    Rendered as Rendered,
    RoomChanged as RoomChanged,
    Speakers as Speakers,
    SubscribeOffer as SubscribeOffer,
    Pushes as Pushes,
    Tickets as Tickets,
    Waiting as Waiting,
    Welcome as Welcome,
)
from signaling.messages.questions import (
    Ask as Ask,
    Ballot as Ballot,
    MakePoll as MakePoll,
    MergeQuestion as MergeQuestion,
    React as React,
    SetQuestions as SetQuestions,
    SettlePoll as SettlePoll,
    SettleQuestion as SettleQuestion,
    Vote as Vote,
)
from signaling.messages.session import (
    Hello as Hello,
    Leave as Leave,
    MediaReport as MediaReport,
    Ping as Ping,
    PublishOffer as PublishOffer,
    RaiseHand as RaiseHand,
    SendChat as SendChat,
    SetCaptioned as SetCaptioned,
    SetInstitution as SetInstitution,
    SetLanguages as SetLanguages,
    SetMuted as SetMuted,
    SubscribeAnswer as SubscribeAnswer,
    SubscribeRestart as SubscribeRestart,
    View as View,
)
from signaling.values import (
    AGENDA_ITEM as AGENDA_ITEM,
    Agenda as Agenda,
    Answer as Answer,
    AudienceHand as AudienceHand,
    AudienceTier as AudienceTier,
    BroadcastAudience as BroadcastAudience,
    BroadcastState as BroadcastState,
    CaptionState as CaptionState,
    Channel as Channel,
    ChatEntry as ChatEntry,
    HandState as HandState,
    IceServer as IceServer,
    Id as Id,
    Institution as Institution,
    Kind as Kind,
    Language as Language,
    Layout as Layout,
    Level as Level,
    Name as Name,
    Permission as Permission,
    Person as Person,
    Pixels as Pixels,
    Poll as Poll,
    PollState as PollState,
    Question as Question,
    QuestionRules as QuestionRules,
    QuestionState as QuestionState,
    Reaction as Reaction,
    RecordingState as RecordingState,
    Revision as Revision,
    Role as Role,
    RoomInfo as RoomInfo,
    Sdp as Sdp,
    Seat as Seat,
    Share as Share,
    Source as Source,
    SubscribedTrack as SubscribedTrack,
    PushState as PushState,
    Ticket as Ticket,
    Tile as Tile,
    Track as Track,
    TrackLabel as TrackLabel,
    Value as Value,
    WaitingPerson as WaitingPerson,
    WordsRead as WordsRead,
    Written as Written,
)
# isort: on

VERSION = 1

ClientMessage = (
    Hello
    | PublishOffer
    | SubscribeAnswer
    | SubscribeRestart
    | View
    | MediaReport
    | SetMuted
    | SetLanguages
    | SetCaptioned
    | CorrectCaption
    | AddTerm
    | SetCaptioner
    | TakeCaptions
    | WriteCaption
    | SetInterpreter
    | TakeChannel
    | SetRelay
    | HearChannel
    | SetSigning
    | SendChat
    | RaiseHand
    | MuteParticipant
    | LowerHand
    | RemoveParticipant
    | Admit
    | Deny
    | SetLobby
    | SetSpoken
    | SetAgenda
    | MarkAgenda
    | SetRole
    | StartRecording
    | Consent
    | StopRecording
    | Ask
    | Vote
    | SettleQuestion
    | MergeQuestion
    | SetQuestions
    | MakePoll
    | SettlePoll
    | Ballot
    | React
    | PlanBroadcast
    | MakeTickets
    | RevokeTicket
    | ListTickets
    | GoLive
    | PauseBroadcast
    | EndBroadcast
    | Spotlight
    | AnswerHand
    | SendBack
    | SetHands
    | SetLayout
    | SetHolding
    | Oversee
    | ShowName
    | AddPush
    | RemovePush
    | ListPushes
    | SetInstitution
    | Ping
    | Leave
)

ServerMessage = (
    Waiting
    | Welcome
    | Joined
    | Changed
    | Left
    | PublishAnswer
    | SubscribeOffer
    | Speakers
    | Captioned
    | Chatted
    | Rendered
    | QuestionsChanged
    | PollsChanged
    | Reacted
    | RoomChanged
    | LobbyChanged
    | HandsChanged
    | Overview
    | PermissionsChanged
    | MutedBy
    | Encodings
    | Quality
    | Pushes
    | Tickets
    | Closed
    | Pong
    | Ack
    | Error
)

encoder = msgspec.json.Encoder()
client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
