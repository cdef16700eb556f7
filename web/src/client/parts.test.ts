import { expect, test } from 'vitest';
import { RoomClock } from './clock';
import { problemOf } from './devices';
import { level } from './levels';
import { videoPreference, withOpusNack, withOpusOptions } from './sdp';
import { sending } from './stats';
import { Store } from './store';

test('the clock believes the exchange with the shortest round trip, and forgets when told', () => {
  const clock = new RoomClock();
  expect(clock.at(0)).toBeNull();
  clock.sample(0, 400, 10_000);
  clock.sample(1000, 1010, 10_805);
  clock.sample(5, 0, 99_999); // A clock that ran backwards is no sample.
  expect(clock.at(1010)).toBe(10_810);
  clock.reset();
  expect(clock.at(0)).toBeNull();
});

test('an answer asks for FEC and DTX of Opus and of nothing else', () => {
  const answer = ['m=audio 9 UDP/TLS/RTP/SAVPF 111 9', 'a=rtpmap:111 opus/48000/2', 'a=fmtp:111 minptime=10;useinbandfec=0', 'a=rtpmap:9 G722/8000', 'a=fmtp:96 x=1', ''].join('\r\n');
  const lines = withOpusOptions(answer).split('\r\n');
  expect(lines).toContain('a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1');
  expect(lines).toContain('a=fmtp:96 x=1');
  expect(withOpusOptions('a=rtpmap:111 opus/48000/2\r\n')).toBe('a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1;usedtx=1\r\n');
  expect(withOpusOptions(withOpusOptions(answer))).toBe(withOpusOptions(answer));
});

test('an answer asks for lost sound, once for each Opus format', () => {
  const answer = ['a=rtpmap:111 opus/48000/2', 'a=rtcp-fb:111 transport-cc', 'a=rtpmap:9 G722/8000', ''].join('\r\n');
  const asking = withOpusNack(answer);
  expect(asking.split('\r\n')).toEqual(['a=rtpmap:111 opus/48000/2', 'a=rtcp-fb:111 nack', 'a=rtcp-fb:111 transport-cc', 'a=rtpmap:9 G722/8000', '']);
  expect(withOpusNack(asking)).toBe(asking);
});

test('video prefers VP9 profile 0, then H.264, AV1, VP8, and keeps the rest behind', () => {
  const codecs = [
    { mimeType: 'video/VP8' },
    { mimeType: 'video/rtx' },
    { mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=2' },
    { mimeType: 'video/AV1' },
    { mimeType: 'video/H264' },
    { mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=0' },
  ];
  expect(videoPreference(codecs).map((codec) => codec.mimeType.slice(6) + (codec.sdpFmtpLine ?? ''))).toEqual([
    'VP9profile-id=0',
    'H264',
    'AV1',
    'VP8',
    'VP9profile-id=2',
    'rtx',
  ]);
});

test('the meter is still in silence, full at loud speech and in between for soft speech', () => {
  const tone = (amplitude: number) => Float32Array.from({ length: 480 }, (_, i) => amplitude * Math.sin(i / 5));
  expect(level(new Float32Array(480))).toBe(0);
  expect(level(tone(1))).toBe(1);
  expect(level(tone(0.02))).toBeGreaterThan(0.3);
  expect(level(tone(0.02))).toBeLessThan(0.7);
});

test('why a device did not open, in one word', () => {
  const named = (name: string, message = '') => problemOf(Object.assign(new Error(message), { name }));
  expect(named('NotAllowedError')).toBe('denied');
  expect(named('NotAllowedError', 'Permission denied by system')).toBe('system');
  expect(named('NotFoundError')).toBe('none');
  expect(named('NotReadableError')).toBe('busy');
  expect(named('OverconstrainedError')).toBe('gone');
  expect(problemOf({})).toBe('other');
});

test('a reading of what is sent compares with the one before', () => {
  const report = (bytes: number, at: number): [string, unknown][] => [
    ['o', { type: 'outbound-rtp', id: 'o', kind: 'video', timestamp: at, bytesSent: bytes, frameWidth: 1280, frameHeight: 720, codecId: 'c', qualityLimitationReason: 'cpu' }],
    ['c', { type: 'codec', id: 'c', timestamp: at, mimeType: 'video/VP9' }],
    ['r', { type: 'remote-inbound-rtp', id: 'r', timestamp: at, localId: 'o', fractionLost: 0.01, roundTripTime: 0.04 }],
  ];
  const first = sending(report(1000, 0), null)!;
  expect(first.bitrate).toBe(0);
  expect(sending(report(126_000, 1000), first)).toMatchObject({ bitrate: 1_000_000, codec: 'VP9', limitedBy: 'cpu', loss: 0.01, roundTripMs: 40, width: 1280 });
  expect(sending([], null)).toBeNull();
});

test('a store tells its watchers of changes, once each, until they stop', () => {
  const store = new Store(1);
  const seen: number[] = [];
  const stop = store.subscribe((value) => seen.push(value));
  store.set(2);
  store.set(2);
  stop();
  store.set(3);
  expect(seen).toEqual([1, 2]);
});
