"""Tables: what outlives a meeting. Codes and session tokens are stored only as SHA-256 hashes."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import JSON, DateTime, ForeignKey, MetaData, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Utc(TypeDecorator[datetime]):
    """Times with a zone, also where the database (SQLite) keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Member(Base):
    """Somebody with an account. `role` is ``admin`` or ``member``."""

    __tablename__ = "members"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[datetime] = mapped_column(Utc)
    disabled: Mapped[bool] = mapped_column(default=False)


class Login(Base):
    """A browser that is logged in."""

    __tablename__ = "logins"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(Utc)
    expires_at: Mapped[datetime] = mapped_column(Utc)


class Group(Base):
    """Members that recordings can be shared with."""

    __tablename__ = "groups"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    created_at: Mapped[datetime] = mapped_column(Utc)


class GroupMember(Base):
    """Somebody is in a group."""

    __tablename__ = "group_members"
    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), primary_key=True, index=True)


class Invitation(Base):
    """A link to an account, good for one: a new one with a role and groups, or, with `member_id`, a new password for
    theirs. `note` tells administrators whom it is for."""

    __tablename__ = "invitations"
    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(String(120))
    groups: Mapped[list[str]] = mapped_column(JSON)
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(Utc)
    expires_at: Mapped[datetime] = mapped_column(Utc)


class RoomRow(Base):
    """A room that people can come to by link. `spoken` are primary language tags, empty for any; `agenda` has the
    items of its next meeting; `created_by` is a member's id."""

    __tablename__ = "rooms"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    lobby: Mapped[bool] = mapped_column(default=False)
    spoken: Mapped[list[str]] = mapped_column(JSON, default=list)
    agenda: Mapped[list[str]] = mapped_column(JSON, default=list)
    created_by: Mapped[str | None] = mapped_column(ForeignKey("members.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(Utc)


class Link(Base):
    """A secret address: of a room with a role, or of one recording's replay."""

    __tablename__ = "links"
    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    room_id: Mapped[str | None] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"), index=True)
    recording_id: Mapped[str | None] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Utc)
    expires_at: Mapped[datetime | None] = mapped_column(Utc)
    revoked: Mapped[bool] = mapped_column(default=False)
    uses: Mapped[int] = mapped_column(default=0)


class ChatRow(Base):
    """A chat line of a running meeting; deleted when the meeting ends (a recording keeps its own copy)."""

    __tablename__ = "chat"
    __table_args__ = (UniqueConstraint("meeting", "participant", "key"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    meeting: Mapped[str] = mapped_column(String(32), index=True)
    participant: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[float]
    to: Mapped[str | None] = mapped_column(String(64))


class RecordingRow(Base):
    """A recording and how far it is: ``recording``, ``ready``, ``failed``, or ``deleting`` once that has begun.

    It is deleted after `keep_until` (None: never)."""

    __tablename__ = "recordings"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    room_id: Mapped[str] = mapped_column(String(64), index=True)
    title: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(200))
    started_by: Mapped[str] = mapped_column(String(80))
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id", ondelete="SET NULL"))
    started_at: Mapped[datetime] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
    state: Mapped[str] = mapped_column(String(16))
    problem: Mapped[str | None] = mapped_column(String(200))
    keep_until: Mapped[datetime | None] = mapped_column(Utc)


class ConsentRow(Base):
    """Somebody was ``told`` of a recording, ``agreed`` or ``refused``; append-only. It outlives the recording."""

    __tablename__ = "consents"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    recording_id: Mapped[str] = mapped_column(String(64), index=True)
    participant: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(80))
    member_id: Mapped[str | None] = mapped_column(String(32))
    answer: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(Utc)
    room_id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(200))
    started_by: Mapped[str] = mapped_column(String(80))


class Share(Base):
    """A way to a recording that somebody chose to open. Its code is made from its id and the server's secret.

    `audience` is ``link`` (who has the link), ``members`` (who has the link and an account), ``group`` (who is in
    `group_id`, by the link or from their list) or ``public`` (everybody).
    Times in ms of the recording: `start` is where playing begins, a clip is `clip_start` to `clip_end`. `sites` are the
    origins that may embed it.
    """

    __tablename__ = "shares"
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), index=True)
    audience: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(80))
    password_hash: Mapped[str | None] = mapped_column(String(256))
    start: Mapped[float]
    clip_start: Mapped[float | None]
    clip_end: Mapped[float | None]
    sites: Mapped[list[str]] = mapped_column(JSON)
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id", ondelete="SET NULL"))
    group_id: Mapped[str | None] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(Utc)
    expires_at: Mapped[datetime | None] = mapped_column(Utc)
    revoked: Mapped[bool] = mapped_column(default=False)
    uses: Mapped[int] = mapped_column(default=0)


class BroadcastRow(Base):
    """A broadcast out of a room: ``scheduled``, ``live``, ``ended``. Its link's code is made from its id, `ticket` and
    the server's secret, so that a new number makes the old link useless. It was recorded as `recording_id`, of which
    `share_id` opens what was live; `live_from` is where that begins, in ms of the recording.
    Viewers are `delay` seconds behind. `audience` is ``link`` (who has it), ``members`` (who has it and an account) or
    ``tickets`` (`Ticket`)."""

    __tablename__ = "broadcasts"
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    room_id: Mapped[str] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(120))
    about: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime | None] = mapped_column(Utc)
    state: Mapped[str] = mapped_column(String(16))
    ticket: Mapped[int]
    recording_id: Mapped[str | None] = mapped_column(String(64))
    share_id: Mapped[str | None] = mapped_column(String(16))
    live_from: Mapped[float | None]
    delay: Mapped[int] = mapped_column(default=0, server_default="0")
    audience: Mapped[str] = mapped_column(String(16), default="link", server_default="link")
    created_at: Mapped[datetime] = mapped_column(Utc)
    live_at: Mapped[datetime | None] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)


class Ticket(Base):
    """One viewer's way to a broadcast for which everybody needs their own. `name` tells the host whose it is."""

    __tablename__ = "tickets"
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    broadcast_id: Mapped[str] = mapped_column(ForeignKey("broadcasts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(Utc)
    used_at: Mapped[datetime | None] = mapped_column(Utc)
    revoked: Mapped[bool] = mapped_column(default=False)


class QuestionRow(Base):
    """A question of a meeting and what became of it. `name` is None where it was asked without one; `at` and `live_at`
    are room time in ms; `votes` is the count when it was last changed, the votes themselves are `QuestionVote`."""

    __tablename__ = "questions"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    room_id: Mapped[str] = mapped_column(String(64), index=True)
    meeting: Mapped[str] = mapped_column(String(32))
    name: Mapped[str | None] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(String(35))
    at: Mapped[float]
    asked_at: Mapped[datetime] = mapped_column(Utc, index=True)
    state: Mapped[str] = mapped_column(String(16))
    votes: Mapped[int] = mapped_column(default=0)
    answer: Mapped[str | None] = mapped_column(Text)
    answered_by: Mapped[str | None] = mapped_column(String(80))
    live_at: Mapped[float | None]
    into: Mapped[str | None] = mapped_column(String(32))


class QuestionVote(Base):
    """Somebody wants a question answered. `voter` names nobody: it is a hash that holds for one meeting."""

    __tablename__ = "question_votes"
    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True)
    voter: Mapped[str] = mapped_column(String(64), primary_key=True)


class PollRow(Base):
    """A poll of a meeting; `at` is room time in ms. What people chose is `BallotRow`."""

    __tablename__ = "polls"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    room_id: Mapped[str] = mapped_column(String(64), index=True)
    meeting: Mapped[str] = mapped_column(String(32))
    text: Mapped[str] = mapped_column(Text)
    choices: Mapped[list[str]] = mapped_column(JSON)
    several: Mapped[bool]
    live: Mapped[bool]
    state: Mapped[str] = mapped_column(String(16))
    at: Mapped[float]
    made_at: Mapped[datetime] = mapped_column(Utc, index=True)


class BallotRow(Base):
    """What somebody chose. `voter` names nobody: it is a hash that holds for one meeting."""

    __tablename__ = "ballots"
    poll_id: Mapped[str] = mapped_column(ForeignKey("polls.id", ondelete="CASCADE"), primary_key=True)
    voter: Mapped[str] = mapped_column(String(64), primary_key=True)
    choices: Mapped[list[int]] = mapped_column(JSON)


class SearchLine(Base):
    """A line of a transcript in one language (`community.search`). The words themselves are indexed beside it."""

    __tablename__ = "search_lines"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), index=True)
    start: Mapped[float]
    language: Mapped[str] = mapped_column(String(35))
    name: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)


class SearchSpan(Base):
    """A recording's lines in the index: ids from `first` up to, not including, `last`."""

    __tablename__ = "search_spans"
    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True)
    first: Mapped[int]
    last: Mapped[int]


class AuditRow(Base):
    """Who did what to whom, append-only. `actor` is ``member:ID``, ``participant:ID`` or ``server``."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(Utc, index=True)
    room_id: Mapped[str | None] = mapped_column(String(64), index=True)
    actor: Mapped[str] = mapped_column(String(80))
    act: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str | None] = mapped_column(String(80))


class GlossaryRow(Base):
    """A term. `scope` is a room's id, or empty for the whole organisation; `translations` map a language to a text."""

    __tablename__ = "glossary"
    __table_args__ = (UniqueConstraint("scope", "language", "term"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    scope: Mapped[str] = mapped_column(String(64))
    language: Mapped[str] = mapped_column(String(16))
    term: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(16))
    aliases: Mapped[list[str]] = mapped_column(JSON)
    translations: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Utc)
