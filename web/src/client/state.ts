/** The room as messages make it: one plain value and one pure step per message. */
import type { ChatEntry, Closed, Permission, Person, Quality, Question, Rendered, Role, RoomInfo, ServerMessage, WaitingPerson } from './protocol';

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
  questions: ReadonlyMap<string, Question>;
  /** Questions that one voted for. */
  voted: ReadonlySet<string>;
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
  questions: new Map(),
  voted: new Set(),
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
        questions: new Map(message.questions.map((question) => [question.id, question])),
        voted: new Set(message.voted),
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
      const questions = new Map(state.questions);
      for (const id of message.gone) questions.delete(id);
      for (const question of message.changed) questions.set(question.id, question);
      return { ...state, questions };
    }
    case 'room-changed':
      return { ...state, room: message.room };
    case 'lobby-changed':
      return { ...state, waiting: message.waiting };
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
