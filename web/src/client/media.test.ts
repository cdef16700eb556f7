import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { SubscribeOffer } from './protocol';
import { Publisher } from './publisher';
import { Subscriber } from './subscriber';

/* Node has no WebRTC. These connections keep the bookkeeping of a real one (mids, states) and nothing else; that media
   flows, mutes and comes back is shown with real browsers in tests/e2e. */

interface FakeTransceiver {
  mid: string | null;
  direction: string;
  sender: { track: unknown; replaceTrack: (track: unknown) => Promise<void> };
  receiver: { track: { id: string } };
}

class FakeConnection {
  static all: FakeConnection[] = [];
  transceivers: FakeTransceiver[] = [];
  signalingState = 'stable';
  connectionState = 'new';
  localDescription: { sdp: string } | null = null;
  onconnectionstatechange: (() => void) | null = null;
  restarts = 0;
  applied: string[] = [];
  closed = false;

  constructor() {
    FakeConnection.all.push(this);
  }

  addTransceiver(track: unknown, init: { direction: string }) {
    const sender = {
      track,
      replaceTrack: async (next: unknown) => void (sender.track = next),
    };
    const made: FakeTransceiver = { mid: null, direction: init.direction, sender, receiver: { track: { id: `r${this.transceivers.length}` } } };
    this.transceivers.push(made);
    return made;
  }

  getTransceivers() {
    return this.transceivers;
  }

  async createOffer() {
    return { type: 'offer', sdp: 'offer' };
  }

  async createAnswer() {
    return { type: 'answer', sdp: `answer to ${this.applied.at(-1)}` };
  }

  async setLocalDescription(description: { type: string; sdp?: string }) {
    this.localDescription = { sdp: description.sdp ?? '' };
    if (description.type === 'offer') this.signalingState = 'have-local-offer';
    else this.signalingState = 'stable';
    this.transceivers.forEach((transceiver, i) => (transceiver.mid ??= String(i)));
  }

  async setRemoteDescription(description: { type: string; sdp: string }) {
    if (description.sdp === 'broken') throw new Error('broken');
    this.applied.push(description.sdp);
    this.signalingState = 'stable';
    if (description.type !== 'offer') return;
    while (this.transceivers.length < 2) this.addTransceiver(null, { direction: 'recvonly' }).mid = String(this.transceivers.length - 1);
  }

  restartIce() {
    this.restarts += 1;
  }

  close() {
    this.closed = true;
  }

  becomes(state: string) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
}

const connection = () => new FakeConnection() as unknown as RTCPeerConnection;
const track = () => ({ enabled: true, stopped: false, contentHint: '', stop() {
  this.stopped = true;
} });
const media = (fake: ReturnType<typeof track>) => fake as unknown as MediaStreamTrack;

beforeEach(() => {
  vi.useFakeTimers();
  FakeConnection.all = [];
});
afterEach(() => vi.useRealTimers());

function publisher(refuse: (round: number) => boolean = () => false) {
  const offers: { mid: string; source: string }[][] = [];
  const muted: [string, boolean][] = [];
  const link = { up: true };
  let round = 0;
  const made = new Publisher(
    {
      offer: async (_, labels) => {
        offers.push(labels);
        round += 1;
        if (refuse(round)) throw new Error('refused');
        return { sdp: 'answer', tracks: Object.fromEntries(labels.map(({ mid, source }) => [mid, `${source}-${FakeConnection.all.length}`])) };
      },
      setMuted: (id, value) => void muted.push([id, value]),
      reachable: () => link.up,
    },
    connection,
    () => null,
  );
  return { made, offers, muted, link, rounds: () => round };
}

test('an offer that is refused does not keep what was wished meanwhile', async () => {
  const { made, offers } = publisher((round) => round === 1);
  void made.publish('microphone', media(track()));
  await vi.waitFor(() => expect(offers).toHaveLength(1));
  await made.publish('camera', media(track()));
  await vi.waitFor(() => expect(offers).toHaveLength(2));
  expect(made.published.get()).toEqual({ microphone: { id: 'microphone-1', muted: false }, camera: { id: 'camera-1', muted: false } });
});

test('a source that ends while its offer is being made is still labelled, and inactive in the next', async () => {
  const { made, offers } = publisher();
  void made.publish('screen', media(track()));
  await made.unpublish('screen');
  await vi.waitFor(() => expect(offers).toHaveLength(2));
  expect(offers).toEqual([[{ mid: '0', source: 'screen' }], []]);
  expect(made.published.get()).toEqual({});
});

test('publishing labels its m-line and learns the track id; muting needs no new offer', async () => {
  const { made, offers, muted } = publisher();
  const microphone = track();
  await made.publish('microphone', media(microphone));
  expect(offers).toEqual([[{ mid: '0', source: 'microphone' }]]);
  expect(made.published.get()).toEqual({ microphone: { id: 'microphone-1', muted: false } });
  made.setMuted('microphone', true);
  expect(microphone.enabled).toBe(false);
  expect(muted).toEqual([['microphone-1', true]]);
  expect(offers).toHaveLength(1);
});

test('a camera that is off gives its device back and comes back on the same m-line', async () => {
  const { made, offers, muted } = publisher();
  const first = track();
  await made.publish('camera', media(first));
  await made.release('camera');
  expect(first.stopped).toBe(true);
  expect(FakeConnection.all[0]!.transceivers[0]!.sender.track).toBeNull();
  const second = track();
  await made.publish('camera', media(second));
  expect(FakeConnection.all[0]!.transceivers[0]!.sender.track).toBe(second);
  expect(offers).toHaveLength(1);
  expect(muted).toEqual([
    ['camera-1', true],
    ['camera-1', false],
  ]);
});

test('a share that ends is offered as gone, and the next one takes the same m-line', async () => {
  const { made, offers } = publisher();
  await made.publish('screen', media(track()));
  await made.unpublish('screen');
  expect(offers.at(-1)).toEqual([]);
  expect(FakeConnection.all[0]!.transceivers[0]!.direction).toBe('inactive');
  await made.publish('screen', media(track()));
  expect(offers.at(-1)).toEqual([{ mid: '0', source: 'screen' }]);
  expect(FakeConnection.all[0]!.transceivers).toHaveLength(1);
});

test('muted joins stay muted for the server, also after everything was built again', async () => {
  const { made, muted } = publisher();
  await made.publish('microphone', media(track()), true);
  expect(muted).toEqual([['microphone-1', true]]);
  made.rebuild();
  await vi.advanceTimersByTimeAsync(0);
  expect(FakeConnection.all).toHaveLength(2);
  expect(FakeConnection.all[0]!.closed).toBe(true);
  expect(muted.at(-1)).toEqual(['microphone-2', true]);
});

test('without the server nothing is offered until it is back', async () => {
  const { made, offers, link } = publisher();
  link.up = false;
  await made.publish('microphone', media(track()));
  expect(offers).toEqual([]);
  link.up = true;
  made.nudge(false);
  await vi.advanceTimersByTimeAsync(0);
  expect(offers).toHaveLength(1);
});

test('a failed connection restarts ICE with a new offer', async () => {
  const { made, offers } = publisher();
  await made.publish('microphone', media(track()));
  FakeConnection.all[0]!.becomes('connected');
  FakeConnection.all[0]!.becomes('failed');
  await vi.advanceTimersByTimeAsync(0);
  expect(FakeConnection.all[0]!.restarts).toBe(1);
  expect(offers).toHaveLength(2);
});

const offer = (revision: number, change: Partial<SubscribeOffer> = {}): SubscribeOffer => ({
  type: 'subscribe-offer',
  sdp: `offer ${revision}`,
  revision,
  rebuild: false,
  tracks: [{ mid: '0', track: 't1', participant: 'ana', kind: 'audio', source: 'microphone' }],
  ...change,
});

function subscriber() {
  const answers: [string, number][] = [];
  const restarts: boolean[] = [];
  const made = new Subscriber(
    { answer: (sdp, revision) => void answers.push([sdp, revision]), restart: (rebuild) => void restarts.push(rebuild), reachable: () => true },
    connection,
  );
  return { made, answers, restarts };
}

test('an offer is answered with its revision and its tracks are found by m-line', async () => {
  const { made, answers } = subscriber();
  await made.apply(offer(1));
  expect(answers).toEqual([['answer to offer 1', 1]]);
  expect([...made.tracks.get().keys()]).toEqual(['t1']);
  expect(made.tracks.get().get('t1')).toMatchObject({ participant: 'ana', source: 'microphone', media: { id: 'r0' } });
});

test('offers that pile up are answered once, by the newest, and none of them loses a rebuild', async () => {
  const { made, answers } = subscriber();
  const first = made.apply(offer(1));
  void made.apply(offer(2, { rebuild: true }));
  void made.apply(offer(3));
  await first;
  expect(answers.map(([, revision]) => revision)).toEqual([1, 3]);
  expect(FakeConnection.all).toHaveLength(2);
});

test('an offer that the browser refuses asks for a new connection rather than leaving silence', async () => {
  const { made, restarts } = subscriber();
  await made.apply(offer(1, { sdp: 'broken' }));
  expect(made.tracks.get().size).toBe(0);
  await vi.advanceTimersByTimeAsync(8_000);
  expect(restarts).toEqual([true]);
});

test('disconnected for long asks for fresh credentials first', async () => {
  const { made, restarts } = subscriber();
  await made.apply(offer(1));
  FakeConnection.all[0]!.becomes('connected');
  FakeConnection.all[0]!.becomes('disconnected');
  await vi.advanceTimersByTimeAsync(3_000);
  expect(restarts).toEqual([false]);
});
