import { expect, test } from 'vitest';
import { advice, measures } from '../room/connection';
import { activate, encodingsFor, ridsOf, sizesOf } from './encodings';
import type { Quality } from './protocol';
import { Reception } from './reception';
import { CpuRelief, PATIENCE } from './relief';
import { videoPreference } from './sdp';
import { limitation } from './stats';

const parameters = (...rids: string[]) => ({ encodings: rids.map((rid) => ({ rid, active: true })) }) as unknown as RTCRtpSendParameters;

test('encodings are switched by name, and one without a name is left alone', () => {
  const three = parameters('f', 'q', 'h');
  expect(ridsOf(three)).toEqual(['q', 'h', 'f']);
  expect(activate(three, new Set(['q', 'h']))).toBe(true);
  expect(three.encodings.map(({ rid, active }) => [rid, active])).toEqual([
    ['f', false],
    ['q', true],
    ['h', true],
  ]);
  expect(activate(three, new Set(['q', 'h']))).toBe(false);
  const single = { encodings: [{}] } as unknown as RTCRtpSendParameters;
  expect(activate(single, new Set())).toBe(false);
});

test('a camera asks for three sizes, then for less where a browser refuses, and every try is an object of its own', () => {
  const [best, plain, one] = encodingsFor('camera');
  expect(best!.map((encoding) => encoding.scaleResolutionDownBy)).toEqual([4, 2, 1]);
  expect(plain!.every((encoding) => !('scalabilityMode' in encoding))).toBe(true);
  expect(one).toHaveLength(1);
  expect(encodingsFor('camera')[0]![0]).not.toBe(best![0]);
  expect(encodingsFor('screen')[0]).toHaveLength(1);
});

test('a small camera is sent in as many sizes as the browser really gives', () => {
  expect([sizesOf({ width: 1280, height: 720 }), sizesOf({ width: 720, height: 1280 }), sizesOf({ width: 640, height: 480 }), sizesOf({ width: 320, height: 240 })]).toEqual([3, 3, 2, 1]);
  expect(sizesOf({})).toBe(3);
  expect(encodingsFor('camera', 2)[0]!.map(({ rid, scaleResolutionDownBy }) => [rid, scaleResolutionDownBy])).toEqual([
    ['h', 2],
    ['f', 1],
  ]);
  expect(encodingsFor('camera', 1)[0]!.map(({ rid }) => rid)).toEqual([undefined]);
});

test('a processor that cannot keep up sheds a size first, then the codec, then is left in peace', () => {
  const relief = new CpuRelief();
  const steps: [number, string][] = [];
  for (let now = 0; now <= 60_000; now += 1_000) {
    const step = relief.read(now >= 10_000, now);
    if (step) steps.push([now, step]);
  }
  expect(steps).toEqual([
    [10_000 + PATIENCE, 'shed'],
    [10_000 + 2 * PATIENCE, 'cheaper'],
  ]);
});

test('short peaks of load change nothing', () => {
  const relief = new CpuRelief();
  for (let now = 0; now <= 60_000; now += 1_000) expect(relief.read(now % 5_000 !== 0, now)).toBeNull();
});

test('a cheaper codec is one that the server will choose: the dear ones are not offered at all', () => {
  const codecs = ['video/VP8', 'video/rtx', 'video/VP9', 'video/H264', 'video/AV1'].map((mimeType) => ({ mimeType }));
  expect(videoPreference(codecs).map((codec) => codec.mimeType)[0]).toBe('video/VP9');
  expect(videoPreference(codecs, true).map((codec) => codec.mimeType)).toEqual(['video/H264', 'video/VP8', 'video/rtx']);
  const dear = [{ mimeType: 'video/VP9' }];
  expect(videoPreference(dear, true)).toEqual(dear);
});

test('what holds the camera back is the worst of its encodings that are on', () => {
  const report = (entries: object[]) => entries.map((entry, i) => [String(i), { type: 'outbound-rtp', kind: 'video', ...entry }] as [string, unknown]);
  expect(limitation(report([{ qualityLimitationReason: 'none' }, { qualityLimitationReason: 'cpu' }]))).toBe('cpu');
  expect(limitation(report([{ qualityLimitationReason: 'cpu', active: false }, { qualityLimitationReason: 'bandwidth' }]))).toBe('bandwidth');
  expect(limitation([])).toBe('none');
});

const inbound = (values: object) => ({ type: 'inbound-rtp', id: 'v', trackIdentifier: 'm1', packetsReceived: 0, packetsLost: 0, ...values });

test('only freezes of pictures in sight count, and losses from one reading to the next', () => {
  let watched = false;
  const reception = new Reception(() => watched);
  const cameras = new Map([['m1', 't1']]);
  const read = (values: object) => reception.read([['v', inbound(values)]], cameras);
  expect(read({ freezeCount: 5, totalFreezesDuration: 9 })).toBeNull();
  expect(read({ freezeCount: 6, totalFreezesDuration: 12, packetsReceived: 90, packetsLost: 10, jitter: 0.02 })).toMatchObject({
    freezes: 0,
    frozenMs: 0,
    loss: 0.1,
    jitterMs: 20,
  });
  watched = true;
  expect(read({ freezeCount: 7, totalFreezesDuration: 14 })).toMatchObject({ freezes: 0 });
  expect(read({ freezeCount: 8, totalFreezesDuration: 14.5 })).toMatchObject({ freezes: 1, frozenMs: 500 });
  expect(read({ freezeCount: 2, totalFreezesDuration: 1 })).toMatchObject({ freezes: 0, frozenMs: 0 });
});

test('sound that was made up counts, silence that was announced does not', () => {
  const reception = new Reception(() => true);
  const read = (values: object) => reception.read([['a', inbound(values)]], new Map());
  read({ totalSamplesReceived: 0, concealedSamples: 0, silentConcealedSamples: 0 });
  const found = read({ totalSamplesReceived: 1000, concealedSamples: 400, silentConcealedSamples: 300 });
  expect(found!.concealed).toBeCloseTo(0.1);
});

const quality = (change: Partial<Quality> = {}): Quality => ({
  type: 'quality',
  level: 3,
  publishLevel: 3,
  subscribeLevel: 3,
  publishLoss: 0,
  subscribeLoss: 0,
  publishJitterMs: 0,
  subscribeJitterMs: 0,
  roundTripMs: null,
  estimate: null,
  wanted: 0,
  sent: 0,
  reduced: 0,
  frozenMs: 0,
  limitedBy: 'none',
  ...change,
});

test('a person reads what is done and what they can try, and nothing when all is well', () => {
  const keys = (said: { key: string }[]) => said.map(({ key }) => key);
  expect(keys(measures(quality(), new Set()))).toEqual(['quality.doing_nothing']);
  expect(advice(quality())).toEqual([]);
  const bad = quality({ level: 1, subscribeLevel: 1, subscribeLoss: 0.2, reduced: 2 });
  expect(keys(measures(bad, new Set()))).toEqual(['quality.doing_reduced', 'quality.doing_repair']);
  expect(keys(advice(bad))).toEqual(['quality.try_network']);
  expect(keys(measures(quality({ limitedBy: 'cpu' }), new Set(['shed'])))).toEqual(['quality.doing_shed']);
  expect(keys(advice(quality({ limitedBy: 'cpu' })))).toEqual(['quality.try_cpu']);
});
