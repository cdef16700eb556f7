/** The room as messages make it: one plain value and one pure step per message. */
import { taken } from './board';
import type { AudienceHand, ChatEntry, Closed, Permission, Person, Poll, Quality, Pushes, Question, Rendered, Role, RoomInfo, ServerMessage, Ticket, WaitingPerson } from './protocol';

export type Phase = 'connecting' | 'lobby' | 'in' | 'closed';

export interface RoomState {
  phase: Phase;
  me: string | null;
  role: Role | null;
  permissions: ReadonlySet<Permission>;
  room: RoomInfo | null;
  people: ReadonlyMap<string, Person>;
  /** Names of those who were here, for words and chat lines of people who left. */
  known: ReadonlyMap<string, { name: string; color: number }>;
  chat: readonly ChatEntry[];
  /** What was written in another language than one reads, by what it is and its id. */
  rendered: ReadonlyMap<string, Rendered>;
  waiting: readonly WaitingPerson[];
  /** Viewers of the broadcast who raise a hand, and whether they may; for those who broadcast. */
  audience: readonly AudienceHand[];
  handsOpen: boolean;
  questions: ReadonlyMap<string, Question>;
  /** Questions that one voted for. */
  voted: ReadonlySet<string>;
  polls: ReadonlyMap<string, Poll>;
  /** What one chose, by poll. */
  ballots: ReadonlyMap<string, number[]>;
  /** Of the broadcast, once somebody asked for them. */
  tickets: readonly Ticket[] | null;
  /** Other platforms that the broadcast goes to, once somebody asked. */
  pushes: Pushes | null;
  speakers: readonly string[];
  position: number | null;
  quality: Quality | null;
  closed: Closed | null;
}

export const outside: RoomState = {
  phase: 'connecting',
  me: null,
  role: null,
  permissions: new Set(),
  room: null,
  people: new Map(),
  known: new Map(),
  chat: [],
  rendered: new Map(),
  waiting: [],
  audience: [],
  handsOpen: true,
  questions: new Map(),
  voted: new Set(),
  polls: new Map(),
  ballots: new Map(),
  tickets: null,
  pushes: null,
  speakers: [],
  position: null,
  quality: null,
  closed: null,
};

const CHAT_LIMIT = 2_000;

/** The state after a message; the same object when the message says nothing about it. */
export function step(state: RoomState, message: ServerMessage): RoomState {
  switch (message.type) {
    case 'waiting':
      return { ...state, phase: 'lobby', me: message.participant, position: message.position };
    case 'welcome': {
      const people = new Map(message.people.map((person) => [person.id, person]));
      return {
        ...state,
        phase: 'in',
        me: message.participant,
        role: people.get(message.participant)?.role ?? null,
        permissions: new Set(message.permissions),
        room: message.room,
        people,
        known: remember(state.known, message.people),
        chat: message.chat.slice(-CHAT_LIMIT),
        waiting: message.waiting,
        audience: message.hands,
        handsOpen: message.handsOpen,
        questions: new Map(message.questions.map((question) => [question.id, question])),
        voted: new Set(message.voted),
        polls: new Map(message.polls.map((poll) => [poll.id, poll])),
        ballots: new Map(Object.entries(message.ballots)),
        speakers: state.speakers.filter((id) => people.has(id)),
        position: null,
        quality: null,
        closed: null,
      };
    }
    case 'joined':
    case 'changed': {
      const people = new Map(state.people).set(message.person.id, message.person);
      const role = message.person.id === state.me ? message.person.role : state.role;
      return { ...state, people, role, known: remember(state.known, [message.person]) };
    }
    case 'left': {
      if (!state.people.has(message.participant)) return state;
      const people = new Map(state.people);
      people.delete(message.participant);
      return { ...state, people, speakers: state.speakers.filter((id) => id !== message.participant) };
    }
    case 'speakers':
      return { ...state, speakers: message.participants };
    case 'chatted':
      if (state.chat.some((entry) => entry.id === message.entry.id)) return state;
      return { ...state, chat: [...state.chat, message.entry].slice(-CHAT_LIMIT) };
    case 'rendered':
      return { ...state, rendered: new Map(state.rendered).set(`${message.of}:${message.about}`, message) };
    case 'questions-changed': {
      const questions = taken(state.questions, state.voted, message.changed, message.gone);
      const mine = message.voted.length ? new Set([...state.voted, ...message.voted]) : state.voted;
      return { ...state, questions, voted: mine };
    }
    case 'polls-changed': {
      const polls = new Map(state.polls);
      for (const id of message.gone) polls.delete(id);
      for (const poll of message.changed) polls.set(poll.id, poll);
      return { ...state, polls };
    }
    case 'tickets':
      return { ...state, tickets: message.tickets };
    case 'pushes':
      return { ...state, pushes: message };
    case 'room-changed':
      // Tickets are of one broadcast.
      return { ...state, room: message.room, tickets: message.room.broadcast?.id === state.room?.broadcast?.id ? state.tickets : null };
    case 'lobby-changed':
      return { ...state, waiting: message.waiting };
    case 'hands-changed':
      return { ...state, audience: message.hands, handsOpen: message.open };
    case 'permissions-changed':
      return { ...state, role: message.role, permissions: new Set(message.permissions) };
    case 'quality':
      return { ...state, quality: message };
    case 'closed':
      return { ...state, phase: 'closed', closed: message };
    default:
      return state;
  }
}

/** The state after one's own vote, or taking it back: told only to oneself, and only once it is acknowledged. */
export function voted(state: RoomState, question: string, up: boolean): RoomState {
  const voted = new Set(state.voted);
  if (up) voted.add(question);
  else voted.delete(question);
  return { ...state, voted };
}

function remember(known: RoomState['known'], people: readonly Person[]): RoomState['known'] {
  const next = new Map(known);
  for (const { id, name, color } of people) next.set(id, { name, color });
  return next;
}

/** Raised hands, the longest up first. */
export function hands(people: Iterable<Person>): Person[] {
  return [...people].filter((person) => person.hand != null).sort((a, b) => a.hand! - b.hand!);
}

/** One's ballot in a poll, once it counts. */
export function chose(state: RoomState, poll: string, choices: number[]): RoomState {
  return { ...state, ballots: new Map(state.ballots).set(poll, choices) };
}
