// Generated from signaling/protocol.py by `python -m signaling.schema`. Do not edit: a test fails when it drifts.

/** Sent in Hello; the server refuses another one. */
export const VERSION = 1;

export type Doubt = "number" | "dose" | "percentage" | "unit" | "date" | "drug" | "negation" | "side" | "copied" | "empty" | "length" | "loop";

export type Answer = "agreed" | "refused";

export type BroadcastAudience = "link" | "members" | "tickets";

export type HandState = "raised" | "invited" | "stage";

export type Kind = "audio" | "video";

export type Layout = "speaker" | "grid";

export type Permission = "publish-audio" | "publish-video" | "publish-screen" | "chat" | "hand" | "caption" | "record" | "moderate" | "manage" | "ask" | "answer" | "broadcast" | "transcribe";

export type PollState = "draft" | "open" | "closed";

export type QuestionState = "waiting" | "open" | "live" | "answered" | "dismissed" | "merged";

export type Reaction = "applause" | "heart" | "agree" | "laugh" | "celebrate" | "insight";

export type Role = "host" | "moderator" | "participant" | "viewer";

export type Source = "microphone" | "camera" | "screen" | "screen-audio";

export type Written = "chat" | "question" | "answer" | "poll";

// --- values

/**
 * Idempotent by (`segment`, `language`, `revision`): a receiver keeps the highest revision and drops the rest.
 *
 * `stable` has settled: until `final` only a pause may change it, when what was said up to there is heard in full;
 * `tail` changes with every draft. Times are room time in milliseconds.
 * `source` is the language spoken, `language` that of the text; they are equal in an original.
 * `engine` names what translated (``firefox``, ``nllb``, ``m2m100``, ``madlad``, ``opus``, ``whisper``), None in an
 * original; `pivot` is the language it went through, if any. `confidence` is 0 to 1. BCP 47 tags throughout. `guard`
 * says what a final translation may have wrong: show the original beside it. `heard` is what was recognised where
 * terms of the glossary replaced some of it; `doubtful` are the words of a final original, counted from 0, that the
 * recogniser was unsure of. `corrected_by` is the participant who wrote a final anew; `heard` then has the machine's
 * words, and its translations are made again. `written_by` is the participant who typed it instead of the machine.
 * `channel` is the language that the speaker interprets into: such words are not of the floor, nor translated.
 */
export interface Caption {
  segment: string;
  revision: number;
  participant: string;
  track: string;
  source: string;
  language: string;
  start: number;
  end: number;
  stable: string;
  tail: string;
  final: boolean;
  engine: string | null;
  pivot: string | null;
  confidence: number | null;
  guard: Doubt[];
  heard: string | null;
  doubtful: number[];
  correctedBy: string | null;
  writtenBy: string | null;
  channel: string | null;
}

/**
 * What a meeting is about, in order. `current` is the place (from 0) of what is being dealt with; None: of nothing
 * on it.
 */
export interface Agenda {
  items: string[];
  current: number | null;
}

/**
 * A viewer of the broadcast who wants to come on stage: `raised` at the room time `at`, ``invited``, or on
 * ``stage``. Seen by those who may broadcast.
 */
export interface AudienceHand {
  id: string;
  name: string;
  at: number;
  state: HandState;
}

/**
 * Viewers of a broadcast by how they get it: ``realtime`` (WebRTC) or ``hls``. `viewers` is how many the server
 * counts, `reporting` how many pages told in their last interval how it went: in how many the picture or the sound
 * stood still (`stalled`), for what share of all the time that was watched, and how far they are behind the stage.
 */
export interface AudienceTier {
  tier: "hls" | "realtime";
  viewers: number;
  reporting: number;
  stalled: number;
  stalledShare: number;
  latencyMs: number | null;
  latencyP95Ms: number | null;
}

/**
 * A broadcast out of this room. `state` is ``scheduled`` while everybody is back stage. `starts_at` is when it is
 * planned, in ms since 1970; `at` is the room time at which it goes live (``countdown``) or went. `link` is the path
 * of the viewers' page with its code. `spotlight` is shown to viewers whoever speaks. `viewers` is how many pages
 * follow it, `realtime` how many are sent WebRTC; `hidden` are the people whose picture all others cannot see, for it
 * is VP8, which HLS has no room for. Viewers are `delay` seconds behind. `audience`: it is for who has the link, for
 * those of them who have an account, or for who has a ticket.
 */
export interface BroadcastState {
  id: string;
  title: string;
  about: string;
  state: "countdown" | "ended" | "ending" | "live" | "paused" | "scheduled";
  link: string;
  startsAt: number | null;
  at: number | null;
  viewers: number;
  spotlight: string | null;
  realtime: number;
  hidden: string[];
  image: boolean;
  delay: number;
  audience: BroadcastAudience;
}

/** Whether words can be had now, and in which languages they can be read. `problem` says why not. */
export interface CaptionState {
  state: "failed" | "loading" | "off" | "overloaded" | "ready";
  spoken: string[];
  read: string[];
  lagMs: number;
  problem: string | null;
}

/**
 * What is interpreted into a `language`: the `interpreters` who were given it, who of them is on the air
 * (`speaking`) and the other channel that they hear instead of the floor (`listens`; relay). The microphone of who is
 * on the air is the channel, and is sent to those who hear it only.
 */
export interface Channel {
  language: string;
  interpreters: string[];
  speaking: string | null;
  listens: string | null;
}

/** One chat line. `to` is set for a private line. */
export interface ChatEntry {
  id: string;
  participant: string;
  name: string;
  text: string;
  at: number;
  to: string | null;
}

/** As RTCConfiguration wants it. Empty unless the operator set up TURN. */
export interface IceServer {
  urls: string[];
  username: string | null;
  credential: string | null;
}

/**
 * A participant as everyone sees them. `color` is an index (0 to 11) into the client's speaker palette; `quality`
 * of their connection as in `Quality.level`, None before it was measured; `consent` is their answer to the recording
 * that runs, None before they gave one. Who is not `captioned` does not want the machine to hear what they say,
 * who is not `named` does not want their name beside it. A `captioner` may type captions instead of the machine and
 * does so now where `captioning` is set: to somebody's id, or to ``*`` for everybody. A `guest` came out of the
 * audience of a broadcast, and can be sent back there.
 */
export interface Person {
  id: string;
  name: string;
  role: Role;
  color: number;
  spoken: string | null;
  hand: number | null;
  connected: boolean;
  quality: number | null;
  consent: Answer | null;
  captioned: boolean;
  named: boolean;
  captioner: boolean;
  captioning: string | null;
  guest: boolean;
  institution: string;
  tracks: Track[];
}

/**
 * `counts` says how often each choice was taken; None while that is not told: with `live` it is while the poll is
 * open, else once it is closed. `voters` is how many took part.
 */
export interface Poll {
  id: string;
  text: string;
  choices: string[];
  several: boolean;
  live: boolean;
  state: PollState;
  voters: number;
  at: number;
  counts: number[] | null;
}

/**
 * A question; `name` is None where it was asked without one. `waiting` for a moderator, `open` to votes, answered
 * `live` now, `answered` (in writing where there is an `answer`), `dismissed`, or `merged` into another (`into`).
 * `live_at` is when its answer began to be spoken.
 */
export interface Question {
  id: string;
  name: string | null;
  text: string;
  language: string | null;
  at: number;
  state: QuestionState;
  votes: number;
  answer: string | null;
  answeredBy: string | null;
  liveAt: number | null;
  into: string | null;
}

/** Whether questions are taken, whether a moderator sees them before everybody does, whether they need a name. */
export interface QuestionRules {
  open: boolean;
  moderated: boolean;
  anonymous: boolean;
}

/**
 * `state` is what everyone is told. `replay` is the page's path, once there is one. `problem` says why it failed;
 * while recording goes on it is ``disk-low`` when the disk will not do much longer, ``storage-away`` when the bucket
 * that recordings go to cannot be reached, so that this one stays on the server's disk for now. Where it must `ask`,
 * only those who agreed are recorded; else all who did not refuse.
 */
export interface RecordingState {
  state: "failed" | "off" | "recording" | "starting" | "stopping";
  recording: string | null;
  by: string | null;
  purpose: string | null;
  since: number | null;
  replay: string | null;
  problem: string | null;
  ask: boolean;
}

/**
 * The room as everyone in it sees it. `spoken` are the languages that are spoken here; empty: any. `signing` is the
 * sign-language interpreter, who is to be seen in every layout. `layout` is how pages were asked to show people.
 */
export interface RoomInfo {
  id: string;
  name: string;
  lobby: boolean;
  captions: CaptionState;
  recording: RecordingState;
  questions: QuestionRules;
  broadcast: BroadcastState | null;
  spoken: string[];
  channels: Channel[];
  signing: string | null;
  layout: Layout | null;
  agenda: Agenda;
}

/**
 * Somebody on stage as they come in, for those who run the broadcast: the loudest moment of the last second from 0
 * (silent) to 1, whether sound and picture come, how large the picture is and how much comes, in bit/s. `quality` is
 * of their way to the server as in `Quality.publish_level`; losses are from 0 to 1.
 */
export interface Seat {
  participant: string;
  level: number;
  sound: boolean;
  picture: boolean;
  height: number;
  bitrate: number;
  quality: number;
  loss: number;
  roundTripMs: number | null;
}

/** Which m-line of the subscribe offer carries which track. */
export interface SubscribedTrack {
  mid: string;
  track: string;
  participant: string;
  kind: Kind;
  source: Source;
}

/**
 * A platform that a broadcast goes to. `server` is shown without application and key. ``waiting``: for the
 * broadcast; ``failed``: it is tried again, and `reason` says why; ``live`` and ``slow``: something was left out.
 * `codec`: the picture's, which platforms do not take: they get a dark one, and all of the sound.
 */
export interface PushState {
  id: string;
  server: string;
  state: "connecting" | "failed" | "live" | "waiting";
  reason: "closed" | "private" | "slow" | "unreachable" | null;
  codec: string | null;
}

/**
 * One viewer's own way to a broadcast: `link` is the path of its page with their code. `used`: somebody came with
 * it; `watching`: its page is open now.
 */
export interface Ticket {
  id: string;
  name: string;
  link: string;
  used: boolean;
  watching: boolean;
}

/** How a video track is shown: its size in device pixels, whether any of it can be seen, whether it was pinned. */
export interface Tile {
  track: string;
  width: number;
  height: number;
  visible: boolean;
  pinned?: boolean;
}

/** A published track as everyone sees it. */
export interface Track {
  id: string;
  participant: string;
  kind: Kind;
  source: Source;
  muted: boolean;
}

/** What the client says an m-line of its offer carries; of a picture also its full size in pixels. */
export interface TrackLabel {
  mid: string;
  source: Source;
  width?: number | null;
  height?: number | null;
}

/** Somebody in the lobby; seen by those who may admit. */
export interface WaitingPerson {
  id: string;
  name: string;
  since: number;
}

/**
 * Captions in one language: how many read it, in the room and before the broadcast, and by how much its newest line
 * came after the end of what was said (`lag_ms`), None where none came in the last minute.
 */
export interface WordsRead {
  language: string;
  readers: number;
  lagMs: number | null;
}

// --- client to server

/**
 * First message on a new socket, within ten seconds. `grant` is the JWT that POST /api/links/{code} gives.
 * `resume` is the secret of an earlier Welcome and takes that participant over, tracks and all; the grant may have
 * expired by then.
 */
export interface Hello {
  type: "hello";
  id?: number | null;
  version: number;
  grant: string;
  name: string;
  resume?: string | null;
  spoken?: string | null;
  reads?: string | null;
  captioned?: boolean;
  named?: boolean;
  institution?: string;
}

/** The client's offer for what it sends; also a change of tracks and an ICE restart. */
export interface PublishOffer {
  type: "publish-offer";
  id?: number | null;
  sdp: string;
  tracks: TrackLabel[];
}

/** Answer to the SubscribeOffer of the same revision; a stale one is ignored. */
export interface SubscribeAnswer {
  type: "subscribe-answer";
  id?: number | null;
  sdp: string;
  revision: number;
}

/** The subscribe connection is lost: offer again with fresh ICE credentials (`rebuild`: a whole new connection). */
export interface SubscribeRestart {
  type: "subscribe-restart";
  id?: number | null;
  rebuild?: boolean;
}

/**
 * What the page shows: every video track that it was offered, once each. Whoever sends none gets all in full size;
 * a track that is not listed yet comes small. What is not visible is not sent.
 */
export interface View {
  type: "view";
  id?: number | null;
  tiles: Tile[];
}

/**
 * What the browser's own statistics say about the last seconds: video freezes and the time frozen, the share of
 * sound that had to be made up, loss and jitter of what it receives, round trip, and what holds its sending back.
 */
export interface MediaReport {
  type: "media-report";
  id?: number | null;
  freezes: number;
  frozenMs: number;
  concealed: number;
  loss: number;
  jitterMs: number;
  roundTripMs?: number | null;
  limitedBy?: "bandwidth" | "cpu" | "none" | "other";
}

/** Mute or unmute a track of one's own. */
export interface SetMuted {
  type: "set-muted";
  id?: number | null;
  track: string;
  muted: boolean;
}

/** `spoken`: the language I speak, None to detect. `reads`: the language I read captions in, None for none. */
export interface SetLanguages {
  type: "set-languages";
  id?: number | null;
  spoken?: string | null;
  reads?: string | null;
}

/**
 * Whether what I say is captioned. Who is not is not listened to by the machine at all. Who is not `named` has an
 * id of their own in captions, which begins with a tilde and belongs to nobody here, and no name in recordings.
 */
export interface SetCaptioned {
  type: "set-captioned";
  id?: number | null;
  captioned: boolean;
  named?: boolean;
}

/**
 * Moderators: write a final original anew. `revision` is the one they saw; if it changed meanwhile the answer is
 * the error `conflict`. Translations, the recording and its transcript follow.
 */
export interface CorrectCaption {
  type: "correct-caption";
  id?: number | null;
  segment: string;
  revision: number;
  text: string;
}

/** Moderators: a term for this room's glossary, and what it was `heard` as; a term that is known gains that. */
export interface AddTerm {
  type: "add-term";
  id?: number | null;
  term: string;
  language: string;
  heard?: string;
}

/** Moderators: whether somebody may type captions instead of the machine, until the meeting ends. */
export interface SetCaptioner {
  type: "set-captioner";
  id?: number | null;
  participant: string;
  captioner: boolean;
}

/**
 * Needs the transcribe permission: I type what `of` says from now on (None: what everybody says) and the machine
 * does not listen to them; or, with `taken` false, the machine listens again. It also does while my connection is
 * lost, and after a minute without a line, until the next.
 */
export interface TakeCaptions {
  type: "take-captions";
  id?: number | null;
  of?: string | null;
  taken?: boolean;
}

/**
 * Needs the transcribe permission: a line of captions, the whole of it as it stands; others see it grow. `line`
 * names it among mine; a new one ends the one before. `final`: it is done, and is translated. Where I type for
 * everybody it is what `speaker` says (None: whoever speaks as it begins).
 */
export interface WriteCaption {
  type: "write-caption";
  id?: number | null;
  line: string;
  text: string;
  language: string;
  final?: boolean;
  speaker?: string | null;
}

/** Moderators: whether somebody interprets into a language, until the meeting ends. Who may not speak cannot. */
export interface SetInterpreter {
  type: "set-interpreter";
  id?: number | null;
  participant: string;
  language: string;
  interpreter: boolean;
}

/**
 * My microphone is this channel from now on, and not of the floor; whoever was on its air is off. None: I am off.
 * Who comes off the air is muted.
 */
export interface TakeChannel {
  type: "take-channel";
  id?: number | null;
  language?: string | null;
}

/**
 * Interpreters of a channel, and moderators: what they hear instead of the floor, another channel (`listens`);
 * None: the floor.
 */
export interface SetRelay {
  type: "set-relay";
  id?: number | null;
  language: string;
  listens?: string | null;
}

/**
 * What I hear: this channel beside the floor, and its words with it; None: the floor alone. It need not be there
 * yet.
 */
export interface HearChannel {
  type: "hear-channel";
  id?: number | null;
  language?: string | null;
}

/** Moderators: the sign-language interpreter, whom every page shows beside whoever speaks; None: nobody. */
export interface SetSigning {
  type: "set-signing";
  id?: number | null;
  participant?: string | null;
}

/** `key` makes a retry harmless: a line with a key seen before is acknowledged again and not repeated. */
export interface SendChat {
  type: "send-chat";
  id?: number | null;
  key: string;
  text: string;
  to?: string | null;
}

/** Raise or lower one's own hand. */
export interface RaiseHand {
  type: "raise-hand";
  id?: number | null;
  raised: boolean;
}

/** Moderators: mute somebody's tracks of a kind. They can unmute themselves again. */
export interface MuteParticipant {
  type: "mute-participant";
  id?: number | null;
  participant: string;
  kind: Kind;
}

/** Moderators: lower somebody's hand. */
export interface LowerHand {
  type: "lower-hand";
  id?: number | null;
  participant: string;
}

/** Moderators: put somebody out; their grant is no longer accepted. */
export interface RemoveParticipant {
  type: "remove-participant";
  id?: number | null;
  participant: string;
}

/** Moderators: let somebody in from the lobby; everybody when `participant` is None. */
export interface Admit {
  type: "admit";
  id?: number | null;
  participant?: string | null;
}

/** Moderators: turn somebody in the lobby away. */
export interface Deny {
  type: "deny";
  id?: number | null;
  participant: string;
}

/** Moderators: turn the lobby on or off. */
export interface SetLobby {
  type: "set-lobby";
  id?: number | null;
  enabled: boolean;
}

/**
 * Moderators: the languages that are spoken in this room. In whoever does not say what they speak, nothing else is
 * heard. Empty: anything that can be recognised. Kept for the next meeting.
 */
export interface SetSpoken {
  type: "set-spoken";
  id?: number | null;
  languages: string[];
}

/** Moderators: what the meeting is about, in order; empty: no agenda. Kept for the next meeting. */
export interface SetAgenda {
  type: "set-agenda";
  id?: number | null;
  items: string[];
}

/**
 * Moderators: the meeting now deals with the item at `current` (from 0), which reads `item`; `conflict` where it
 * reads otherwise. None: with nothing on the agenda. Each start is a chapter of the recording.
 */
export interface MarkAgenda {
  type: "mark-agenda";
  id?: number | null;
  current: number | null;
  item?: string | null;
}

/**
 * Moderators: give somebody another role until the meeting ends: a viewer comes on stage, or goes back. Nobody
 * gives rights that they do not hold, or changes who stands above them.
 */
export interface SetRole {
  type: "set-role";
  id?: number | null;
  participant: string;
  role: Role;
}

/** Needs the record permission. Everyone is told, late joiners too. */
export interface StartRecording {
  type: "start-recording";
  id?: number | null;
  purpose?: string;
}

/**
 * Whether I may be recorded, in the recording that runs. Who refuses stays, and nothing of them is written from
 * then on; the answer may be changed at any time.
 */
export interface Consent {
  type: "consent";
  id?: number | null;
  agreed: boolean;
}

/** Needs the record permission. */
export interface StopRecording {
  type: "stop-recording";
  id?: number | null;
}

/**
 * A question to those on stage. `key` makes a retry harmless. `anonymous`: without one's name, where that is
 * allowed.
 */
export interface Ask {
  type: "ask";
  id?: number | null;
  key: string;
  text: string;
  anonymous?: boolean;
}

/** I want this question answered too; or, with `up` false, not any more. */
export interface Vote {
  type: "vote";
  id?: number | null;
  question: string;
  up?: boolean;
}

/** Needs the answer permission: publish a question, answer it live or in writing, put it aside, take that back. */
export interface SettleQuestion {
  type: "settle-question";
  id?: number | null;
  question: string;
  state: "answered" | "dismissed" | "live" | "open";
  answer?: string | null;
}

/** Needs the answer permission: two questions are one. */
export interface MergeQuestion {
  type: "merge-question";
  id?: number | null;
  question: string;
  into: string;
}

/** Moderators: the rules for questions. */
export interface SetQuestions {
  type: "set-questions";
  id?: number | null;
  open: boolean;
  moderated: boolean;
  anonymous: boolean;
}

/**
 * Moderators: a new poll, which is theirs to see until it opens. `key` makes a retry harmless. With `several` more
 * than one choice may be taken, with `live` everybody sees the counts while it is open.
 */
export interface MakePoll {
  type: "make-poll";
  id?: number | null;
  key: string;
  text: string;
  choices: string[];
  several?: boolean;
  live?: boolean;
}

/** Moderators: open it, close it, or take it away with all its ballots. */
export interface SettlePoll {
  type: "settle-poll";
  id?: number | null;
  poll: string;
  state: "closed" | "gone" | "open";
}

/** What one chooses, by number, instead of what one chose before; nothing: no ballot any more. */
export interface Ballot {
  type: "ballot";
  id?: number | null;
  poll: string;
  choices: number[];
}

/** A sign that everybody sees for a moment, counted with those of others. */
export interface React {
  type: "react";
  id?: number | null;
  reaction: Reaction;
}

/**
 * Needs the broadcast permission: plan a broadcast out of this room, or change what is planned. `starts_at` in ms
 * since 1970. `renew`: the link that was given out opens nothing any more, there is a new one. `delay`: viewers have
 * everything so many seconds later than it happens, by HLS only; None leaves it, and it cannot be changed on air.
 * `audience`: whom it and its replay are for; None leaves it. Who is not among them any more is sent away.
 */
export interface PlanBroadcast {
  type: "plan-broadcast";
  id?: number | null;
  title: string;
  about?: string;
  startsAt?: number | null;
  renew?: boolean;
  delay?: number | null;
  audience?: BroadcastAudience | null;
}

/** Needs the broadcast permission: a ticket for each of these people. Answered with `Tickets`. */
export interface MakeTickets {
  type: "make-tickets";
  id?: number | null;
  names: string[];
}

/** Needs the broadcast permission: a ticket opens nothing any more. Answered with `Tickets`. */
export interface RevokeTicket {
  type: "revoke-ticket";
  id?: number | null;
  ticket: string;
}

/** Needs the broadcast permission: asks for `Tickets`. */
export interface ListTickets {
  type: "list-tickets";
  id?: number | null;
}

/**
 * Needs the broadcast permission: viewers see and hear the stage after so many seconds. Recording begins with it,
 * where it does not run yet.
 */
export interface GoLive {
  type: "go-live";
  id?: number | null;
  countdown?: number;
}

/**
 * Needs the broadcast permission: viewers see a holding page, and nothing is sent or recorded, until it goes on.
 * What a delayed broadcast has not sent yet is never sent, and is cut out of the replay.
 */
export interface PauseBroadcast {
  type: "pause-broadcast";
  id?: number | null;
  paused: boolean;
}

/** Needs the broadcast permission: a countdown is called off; what is live ends, and so does its recording. */
export interface EndBroadcast {
  type: "end-broadcast";
  id?: number | null;
}

/** Needs the broadcast permission: whom viewers see whoever speaks; None: whoever speaks. */
export interface Spotlight {
  type: "spotlight";
  id?: number | null;
  participant?: string | null;
}

/**
 * Needs the broadcast permission: invite a viewer on stage, or take their hand down, which takes an invitation
 * back too.
 */
export interface AnswerHand {
  type: "answer-hand";
  id?: number | null;
  hand: string;
  answer: "dismiss" | "invite";
}

/** Needs the broadcast permission: a guest goes back to the audience. */
export interface SendBack {
  type: "send-back";
  id?: number | null;
  participant: string;
}

/** Needs the broadcast permission: whether viewers may raise a hand. */
export interface SetHands {
  type: "set-hands";
  id?: number | null;
  open: boolean;
}

/**
 * Moderators: every page shows people so from now on, until whoever reads it chooses for themselves. None: as each
 * page would by itself.
 */
export interface SetLayout {
  type: "set-layout";
  id?: number | null;
  layout?: Layout | null;
}

/** Needs the broadcast permission: the picture of the holding page, a PNG, JPEG or WebP in base64; empty: none. */
export interface SetHolding {
  type: "set-holding";
  id?: number | null;
  image: string;
}

/** Needs the broadcast permission: whether I am sent an `Overview` every second, until I leave. */
export interface Oversee {
  type: "oversee";
  id?: number | null;
  on: boolean;
}

/** Needs the broadcast permission: viewers see this person's name and institution over the picture for a moment. */
export interface ShowName {
  type: "show-name";
  id?: number | null;
  participant: string;
}

/**
 * Needs the broadcast permission: the broadcast goes to another platform too, whose `url` is ``rtmp://`` or
 * ``rtmps://``. `key` is the stream key, a secret, which nobody is told again. Told with `Pushes`.
 */
export interface AddPush {
  type: "add-push";
  id?: number | null;
  url: string;
  key?: string;
}

/** Needs the broadcast permission: it goes there no more, and its key is forgotten. Told with `Pushes`. */
export interface RemovePush {
  type: "remove-push";
  id?: number | null;
  push: string;
}

/** Needs the broadcast permission: asks for `Pushes`. */
export interface ListPushes {
  type: "list-pushes";
  id?: number | null;
}

/** Where somebody comes from, as it stands beneath their name: one's own, or as a moderator gives it. */
export interface SetInstitution {
  type: "set-institution";
  id?: number | null;
  participant: string;
  institution: string;
}

/** Heartbeat, every ten seconds; `sent` comes back in Pong. */
export interface Ping {
  type: "ping";
  id?: number | null;
  sent: number;
}

/** A clean goodbye: nobody waits for a resume. */
export interface Leave {
  type: "leave";
  id?: number | null;
}

/** Everything a client may send. */
export type ClientMessage =
  | Hello
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
  | Leave;

// --- server to client

/** In the lobby: somebody must admit you. `position` counts from 1. */
export interface Waiting {
  type: "waiting";
  participant: string;
  room: string;
  position: number;
}

/** You are in. The whole state, so that nothing before it matters; also sent after a resume (`resumed`). */
export interface Welcome {
  type: "welcome";
  version: number;
  participant: string;
  resume: string;
  resumed: boolean;
  now: number;
  permissions: Permission[];
  room: RoomInfo;
  people: Person[];
  chat: ChatEntry[];
  captions: Caption[];
  waiting: WaitingPerson[];
  iceServers: IceServer[];
  questions: Question[];
  voted: string[];
  hands: AudienceHand[];
  handsOpen: boolean;
  polls: Poll[];
  ballots: Record<string, number[]>;
}

/** Somebody came in. */
export interface Joined {
  type: "joined";
  person: Person;
}

/** Somebody's name, role, hand, language, tracks or connection changed: the whole new state. */
export interface Changed {
  type: "changed";
  person: Person;
}

/** Somebody went. `reason` is ``left``, ``lost`` or ``removed``. */
export interface Left {
  type: "left";
  participant: string;
  reason: "left" | "lost" | "removed";
}

/** Answer to PublishOffer, with the ids of the tracks by m-line. */
export interface PublishAnswer {
  type: "publish-answer";
  sdp: string;
  tracks: Record<string, string>;
}

/** What the server will send you; answer with the same `revision`. `rebuild`: start a new RTCPeerConnection. */
export interface SubscribeOffer {
  type: "subscribe-offer";
  sdp: string;
  revision: number;
  tracks: SubscribedTrack[];
  rebuild: boolean;
}

/** Who is speaking now, loudest first. */
export interface Speakers {
  type: "speakers";
  participants: string[];
}

/** New or revised words. You get originals, and the language you read. */
export interface Captioned {
  type: "captioned";
  caption: Caption;
}

/** A chat line, one's own included. */
export interface Chatted {
  type: "chatted";
  entry: ChatEntry;
}

/**
 * A chat line, a question or its answer (`about` is its id) in the language you read; it was written in `source`.
 * `pivot` is the language that the translation went through, `guard` says what it may have wrong.
 */
export interface Rendered {
  type: "rendered";
  of: Written;
  about: string;
  source: string;
  language: string;
  text: string;
  pivot: string | null;
  guard: Doubt[];
}

/**
 * The new state of questions, a few times a second at most, however many were asked; `gone` are seen no more,
 * `voted` are those that one has asked for by now. One that was `merged` is told to all who saw it.
 */
export interface QuestionsChanged {
  type: "questions-changed";
  changed: Question[];
  gone: string[];
  voted: string[];
}

/** The new state of polls, a few times a second at most, however many vote; `gone` are seen no more. */
export interface PollsChanged {
  type: "polls-changed";
  changed: Poll[];
  gone: string[];
}

/** How often each sign was given in the last half second. */
export interface Reacted {
  type: "reacted";
  counts: Record<string, number>;
}

/** Lobby, captions or recording changed: the whole new state. */
export interface RoomChanged {
  type: "room-changed";
  room: RoomInfo;
}

/** To those who may admit: who waits now. */
export interface LobbyChanged {
  type: "lobby-changed";
  waiting: WaitingPerson[];
}

/** To those who may broadcast: which viewers raise a hand, and whether they may. */
export interface HandsChanged {
  type: "hands-changed";
  hands: AudienceHand[];
  open: boolean;
}

/**
 * To those who asked for it (`Oversee`), once a second: who is on stage and how they come in, how it fares at the
 * viewers', captions by language. `shed` counts drafts of captions that this server left out in the last minute, for
 * want of time. `disk_free` is what recordings may fill
 * before no new one begins, in bytes, `disk_s` for how long that does at the rate
 * of the last minute; None while it is not known.
 */
export interface Overview {
  type: "overview";
  seats: Seat[];
  audience: AudienceTier[];
  words: WordsRead[];
  shed: number;
  diskFree: number | null;
  diskS: number | null;
}

/** What you may do now. */
export interface PermissionsChanged {
  type: "permissions-changed";
  role: Role;
  permissions: Permission[];
}

/** A moderator muted your track: stop sending and show it. */
export interface MutedBy {
  type: "muted-by";
  track: string;
  by: string;
}

/** Which encodings (rids) of your simulcast track somebody wants: send these and no others. */
export interface Encodings {
  type: "encodings";
  track: string;
  active: string[];
}

/**
 * Every few seconds: how your connections fare, as the server measures them and your browser reports. `level` 0
 * lost, 1 poor, 2 fair, 3 good, with that of either direction beside it.
 *
 * Rates in bit/s: `estimate` is what the way to you can take (None while unknown), `wanted` what everything that you
 * show in full would need, `sent` what is sent now. `reduced` counts pictures that come smaller than they are shown
 * for want of bandwidth. `frozen_ms` is your browser's, over its last report.
 */
export interface Quality {
  type: "quality";
  level: number;
  publishLevel: number;
  subscribeLevel: number;
  publishLoss: number;
  subscribeLoss: number;
  publishJitterMs: number;
  subscribeJitterMs: number;
  roundTripMs: number | null;
  estimate: number | null;
  wanted: number;
  sent: number;
  reduced: number;
  frozenMs: number;
  limitedBy: "bandwidth" | "cpu" | "none" | "other";
}

/** To those who run the broadcast: where it goes besides its page, at most `most` (0: nowhere). */
export interface Pushes {
  type: "pushes";
  pushes: PushState[];
  most: number;
}

/** To who asked: the tickets of the broadcast that are good, in order of names. */
export interface Tickets {
  type: "tickets";
  tickets: Ticket[];
}

/** The last message on a socket; do not come back by yourself unless `retry`. */
export interface Closed {
  type: "closed";
  reason: "audience" | "denied" | "full" | "grant" | "protocol" | "removed" | "replaced" | "room-closed" | "shutdown" | "timeout";
  message: string;
  retry: boolean;
}

/** Answer to Ping; `now` is the room clock, for the client to set its own by. */
export interface Pong {
  type: "pong";
  sent: number;
  now: number;
}

/** The request with this id is done, and is kept if it was something to keep. */
export interface Ack {
  type: "ack";
  id: number;
}

/** A request failed. `code` is stable; `message` is for developers (the client has its own words per code). */
export interface Error {
  type: "error";
  code: "bad-sdp" | "bad-state" | "conflict" | "disk-full" | "internal" | "malformed" | "not-allowed" | "not-found" | "too-fast" | "too-large" | "unavailable" | "unknown-type";
  message: string;
  id: number | null;
  about: string | null;
}

/** Everything a server may send. */
export type ServerMessage =
  | Waiting
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
  | Error;

export type ClientMessageType = ClientMessage["type"];
export type ServerMessageType = ServerMessage["type"];

/** The message of a given type, for handlers. */
export type ServerMessageOf<T extends ServerMessageType> = Extract<ServerMessage, { type: T }>;
