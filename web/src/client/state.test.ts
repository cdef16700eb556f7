import { expect, test } from 'vitest';
import type { Person, Question, ServerMessage } from './protocol';
import { chose, hands, outside, type RoomState, step, voted } from './state';

const person = (id: string, change: Partial<Person> = {}): Person => ({
  id,
  name: id.toUpperCase(),
  role: 'participant',
  color: 1,
  spoken: null,
  hand: null,
  connected: true,
  quality: null,
  captioned: true,
  named: true,
  captioner: false,
  captioning: null,
  guest: false,
  institution: '',
  consent: null,
  tracks: [],
  ...change,
});

const room = {
  id: 'r',
  name: 'Room',
  lobby: false,
  spoken: [],
  captions: { state: 'ready', spoken: [], read: [], lagMs: 0, problem: null },
  recording: { state: 'off', recording: null, by: null, purpose: null, since: null, replay: null, problem: null },
} as const;

const welcome = (people: Person[]): ServerMessage =>
  ({ type: 'welcome', version: 1, participant: 'me', resume: 's', resumed: false, now: 0, permissions: ['chat'], room, people, chat: [], captions: [], waiting: [], iceServers: [], questions: [], voted: [], polls: [], ballots: {} }) as unknown as ServerMessage;

const after = (...messages: ServerMessage[]): RoomState => messages.reduce(step, outside);

test('welcome sets everything, and a second one after a loss replaces it', () => {
  const first = after(welcome([person('me', { role: 'host' }), person('ana')]));
  expect(first).toMatchObject({ phase: 'in', me: 'me', role: 'host' });
  expect([...first.people.keys()]).toEqual(['me', 'ana']);
  const again = step(first, welcome([person('me')]));
  expect([...again.people.keys()]).toEqual(['me']);
  expect(again.known.get('ana')).toEqual({ name: 'ANA', color: 1 });
});

test('people come, change and go; those who left keep their name for what they said', () => {
  const state = after(
    welcome([person('me')]),
    { type: 'joined', person: person('rui') },
    { type: 'speakers', participants: ['rui'] },
    { type: 'changed', person: person('rui', { hand: 5 }) },
    { type: 'left', participant: 'rui', reason: 'left' },
  );
  expect(state.people.has('rui')).toBe(false);
  expect(state.speakers).toEqual([]);
  expect(state.known.get('rui')?.name).toBe('RUI');
  expect(step(state, { type: 'left', participant: 'nobody', reason: 'lost' })).toBe(state);
});

test('a chat line that comes twice is there once', () => {
  const line: ServerMessage = { type: 'chatted', entry: { id: 'c1', participant: 'me', name: 'ME', text: 'hello', at: 1, to: null } };
  expect(after(welcome([person('me')]), line, line).chat).toHaveLength(1);
});

test('the lobby, then let in; or closed with the reason', () => {
  const waiting = after({ type: 'waiting', participant: 'me', room: 'r', position: 2 });
  expect(waiting).toMatchObject({ phase: 'lobby', position: 2 });
  expect(step(waiting, welcome([person('me')]))).toMatchObject({ phase: 'in', position: null });
  expect(step(waiting, { type: 'closed', reason: 'denied', message: '', retry: false })).toMatchObject({ phase: 'closed', closed: { reason: 'denied' } });
});

test('one’s own role follows a change of oneself', () => {
  const state = after(welcome([person('me')]), { type: 'changed', person: person('me', { role: 'moderator' }) });
  expect(state.role).toBe('moderator');
  expect(step(state, { type: 'permissions-changed', role: 'host', permissions: ['moderate'] }).permissions.has('moderate')).toBe(true);
});

test('messages that say nothing about the room leave the same object', () => {
  const state = after(welcome([person('me')]));
  expect(step(state, { type: 'pong', sent: 0, now: 0 })).toBe(state);
});

test('hands in the order in which they went up', () => {
  expect(hands([person('a', { hand: 9 }), person('b'), person('c', { hand: 3 })]).map(({ id }) => id)).toEqual(['c', 'a']);
});

const question = (id: string, change: Partial<Question> = {}): Question => ({
  id,
  name: 'Ana',
  text: 'Which dose?',
  language: null,
  at: 0,
  state: 'open',
  votes: 1,
  answer: null,
  answeredBy: null,
  liveAt: null,
  into: null,
  ...change,
});

test('questions come, change and go; votes are known by whoever gave them', () => {
  const asked = after(welcome([person('me')]), { type: 'questions-changed', changed: [question('a'), question('b')], gone: [], voted: [] });
  const later = step(asked, { type: 'questions-changed', changed: [question('a', { votes: 2 })], gone: ['b'], voted: ['c'] });
  expect([...later.questions.values()].map(({ id, votes }) => [id, votes])).toEqual([['a', 2]]);
  expect([...voted(later, 'a', true).voted]).toEqual(['c', 'a']);
  expect([...voted(voted(later, 'a', true), 'a', false).voted]).toEqual(['c']);
});

test('polls come, change and go; a ballot is known by whoever cast it', () => {
  const poll = { id: 'p', text: 'When?', choices: ['Now', 'Later'], several: false, live: true, state: 'open', voters: 0, at: 1, counts: [0, 0] } as const;
  const opened = after(welcome([person('me')]), { type: 'polls-changed', changed: [{ ...poll, choices: [...poll.choices], counts: [0, 0] }], gone: [] });
  expect(opened.polls.get('p')?.text).toBe('When?');
  expect(chose(opened, 'p', [1]).ballots.get('p')).toEqual([1]);
  expect(step(opened, { type: 'polls-changed', changed: [], gone: ['p'] }).polls.size).toBe(0);
});
