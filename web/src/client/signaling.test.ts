import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ServerMessage } from './protocol';
import { pause, RequestError, Signaling } from './signaling';

/** The other end of a WebSocket, by hand. */
class Wire {
  static all: Wire[] = [];
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;

  constructor() {
    Wire.all.push(this);
  }

  send(text: string) {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close() {
    this.closed = true;
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  say(message: Record<string, unknown>) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  welcome(resumed = false) {
    this.say({ type: 'welcome', version: 1, participant: 'p1', resume: 'secret', resumed, now: 0 });
  }

  last(type: string) {
    return this.sent.filter((message) => message.type === type).at(-1);
  }
}

const latest = () => Wire.all.at(-1)!;

function start(heard: ServerMessage[] = []) {
  let now = 1000;
  const signaling = new Signaling({
    url: 'ws://test/ws/room',
    introduce: () => ({ grant: 'jwt', name: 'Ana', spoken: null, reads: 'pt' }),
    socket: () => new Wire() as unknown as WebSocket,
    now: () => now,
    random: () => 1,
  });
  signaling.listen((message) => heard.push(message));
  signaling.connect();
  return { signaling, tick: (ms: number) => ((now += ms), vi.advanceTimersByTime(ms)) };
}

beforeEach(() => {
  vi.useFakeTimers();
  Wire.all = [];
});
afterEach(() => vi.useRealTimers());

test('introduces itself, is welcomed, and says who it is again after a loss, with the resume secret', () => {
  const { signaling, tick } = start();
  latest().open();
  expect(latest().sent[0]).toMatchObject({ type: 'hello', version: 1, grant: 'jwt', name: 'Ana', resume: null, reads: 'pt' });
  latest().welcome();
  expect(signaling.link.get()).toBe('open');
  latest().onclose!();
  expect(signaling.link.get()).toBe('reconnecting');
  tick(400);
  expect(Wire.all).toHaveLength(2);
  latest().open();
  expect(latest().sent[0]).toMatchObject({ type: 'hello', resume: 'secret' });
  latest().welcome(true);
  expect(signaling.link.get()).toBe('open');
});

test('a request is done when acknowledged, refused with its code, and rejected as offline when the socket is lost', async () => {
  const { signaling } = start();
  await expect(signaling.request({ type: 'raise-hand', raised: true })).rejects.toMatchObject({ code: 'offline' });
  latest().open();
  latest().welcome();
  const done = signaling.request({ type: 'raise-hand', raised: true });
  latest().say({ type: 'ack', id: latest().last('raise-hand')!.id });
  await expect(done).resolves.toBeUndefined();
  const refused = signaling.request({ type: 'start-recording', purpose: '' });
  latest().say({ type: 'error', code: 'not-allowed', message: 'no', id: latest().last('start-recording')!.id });
  await expect(refused).rejects.toMatchObject({ code: 'not-allowed' });
  const lost = signaling.request({ type: 'raise-hand', raised: false });
  latest().onclose!();
  await expect(lost).rejects.toBeInstanceOf(RequestError);
});

test('a request without an answer times out', async () => {
  const { signaling, tick } = start();
  latest().open();
  latest().welcome();
  const request = signaling.request({ type: 'raise-hand', raised: true });
  const failed = expect(request).rejects.toMatchObject({ code: 'timeout' });
  for (let i = 0; i < 15; i += 1) {
    latest().say({ type: 'pong', sent: 0, now: 0 });
    tick(1000);
  }
  await failed;
});

test('pings every ten seconds, keeps the room clock by the answers, and gives up on a silent server', () => {
  const { signaling, tick } = start();
  latest().open();
  latest().welcome();
  expect(latest().last('ping')).toMatchObject({ sent: 1000 });
  tick(20);
  latest().say({ type: 'pong', sent: 1000, now: 50_010 });
  expect(signaling.roomNow()).toBe(50_020);
  tick(9_980);
  expect(latest().sent.filter((message) => message.type === 'ping')).toHaveLength(2);
  tick(7_999);
  expect(signaling.link.get()).toBe('open');
  tick(1);
  expect(signaling.link.get()).toBe('reconnecting');
  expect(Wire.all[0]!.closed).toBe(true);
});

test('a change of network asks the server at once, and ends the pause when it waits to reconnect', () => {
  const { signaling, tick } = start();
  latest().open();
  latest().welcome();
  latest().say({ type: 'pong', sent: 1000, now: 0 });
  signaling.networkChanged();
  tick(3_000);
  expect(signaling.link.get()).toBe('reconnecting');
  signaling.networkChanged();
  expect(Wire.all).toHaveLength(2);
});

test('Closed is the end unless the server says to retry', () => {
  const heard: ServerMessage[] = [];
  const { signaling, tick } = start(heard);
  latest().open();
  latest().welcome();
  latest().say({ type: 'closed', reason: 'shutdown', message: '', retry: true });
  expect(signaling.link.get()).toBe('reconnecting');
  tick(400);
  latest().open();
  latest().welcome(true);
  latest().say({ type: 'closed', reason: 'removed', message: '', retry: false });
  expect(signaling.link.get()).toBe('closed');
  expect(heard.at(-1)).toMatchObject({ type: 'closed', reason: 'removed' });
  tick(60_000);
  expect(Wire.all).toHaveLength(2);
});

test('leaving says goodbye and never comes back', () => {
  const { signaling, tick } = start();
  const wire = latest();
  wire.open();
  wire.welcome();
  signaling.leave();
  expect(wire.sent.at(-1)).toEqual({ type: 'leave' });
  tick(60_000);
  expect(Wire.all).toHaveLength(1);
});

test('a server that cannot be reached is tried again with growing pauses, and so is one that accepts and says nothing', () => {
  const { signaling, tick } = start();
  latest().onerror!();
  tick(400);
  latest().onerror!();
  tick(799);
  expect(Wire.all).toHaveLength(2);
  tick(1);
  expect(Wire.all).toHaveLength(3);
  latest().open();
  tick(10_000);
  expect(signaling.link.get()).toBe('reconnecting');
});

test('what is not JSON is ignored', () => {
  const heard: ServerMessage[] = [];
  const { signaling } = start(heard);
  latest().open();
  latest().onmessage!({ data: '{"type":' });
  latest().welcome();
  expect(signaling.link.get()).toBe('open');
  expect(heard.map((message) => message.type)).toEqual(['welcome']);
});

test('pauses double, are capped and spread', () => {
  expect([0, 1, 2, 10].map((attempt) => pause(attempt, 1))).toEqual([400, 800, 1600, 8000]);
  expect(pause(10, 0)).toBe(4000);
});
