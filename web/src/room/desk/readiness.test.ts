import { describe, expect, it } from 'vitest';
import type { Person, Seat, Track } from '../../client/protocol';
import { line, readiness, remember } from './readiness';

const track = (source: 'microphone' | 'camera', muted = false): Track => ({ id: source, participant: 'p', kind: source === 'camera' ? 'video' : 'audio', source, muted });
const person = (tracks: Track[], connected = true) => ({ id: 'p', name: 'Ana', connected, tracks }) as Person;
const seat = (more: Partial<Seat> = {}): Seat => ({ participant: 'p', level: 0, sound: true, picture: true, height: 720, bitrate: 1e6, quality: 3, loss: 0, roundTripMs: 20, ...more });

describe('who is ready', () => {
  it.each([
    ['ready', person([track('microphone'), track('camera')]), seat()],
    ['ready', person([track('microphone')]), seat({ picture: false })],
    ['away', person([track('microphone')], false), seat()],
    ['poor', person([track('microphone')]), seat({ quality: 1 })],
    ['silent', person([]), seat({ quality: 0 })],
    ['silent', person([track('camera')]), seat()],
    ['dark', person([track('microphone'), track('camera')]), seat({ picture: false })],
    ['muted', person([track('microphone', true), track('camera')]), seat()],
    ['ready', person([track('microphone'), track('camera')]), undefined],
  ] as const)('%s', (expected, who, found) => expect(readiness(who, found, true)).toBe(expected));
  it('only once they were heard', () => expect(readiness(person([track('microphone')]), seat(), false)).toBe('quiet'));
});

it('draws the newest against the greatest', () => {
  expect(line([5], 100, 20)).toBe('');
  expect(line([0, 5, 10], 100, 20)).toBe('0.0,20.0 50.0,10.0 100.0,0.0');
  expect(line([0, 0], 100, 20)).toBe('0.0,20.0 100.0,20.0');
  expect(remember([1, 2, 3], 4, 3)).toEqual([2, 3, 4]);
});
