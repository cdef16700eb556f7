import { expect, test } from 'vitest';
import { DUCKED, givenTo, heardChannel, loudness, sounds, spokenInto } from './channels';
import type { Channel, Person, RoomInfo, SubscribedTrack, Track } from './protocol';

const channel = (language: string, more: Partial<Channel> = {}): Channel => ({ language, interpreters: [], speaking: null, listens: null, ...more });
const room = (...channels: Channel[]): RoomInfo => ({ channels }) as unknown as RoomInfo;
const microphone = (participant: string, muted = false): Track => ({ id: `${participant}.m`, participant, kind: 'audio', source: 'microphone', muted });
const person = (id: string, muted = false, connected = true): Person => ({ id, connected, tracks: [microphone(id, muted)] }) as unknown as Person;
const track = (participant: string, source: SubscribedTrack['source'] = 'microphone'): SubscribedTrack => ({ mid: '0', track: 't', participant, kind: 'audio', source });
const people = (...all: Person[]) => new Map(all.map((one) => [one.id, one]));

test('a listener hears the channel they chose with the floor beneath, all others the floor alone', () => {
  const seen = { room: room(channel('pt', { interpreters: ['ina'], speaking: 'ina' })), people: people(person('ina'), person('flo')) };
  expect(loudness(seen, 'eva', 'pt', track('ina'))).toBe(1);
  expect(loudness(seen, 'eva', 'pt', track('flo'))).toBe(DUCKED);
  expect(loudness(seen, 'eva', 'pt', track('flo', 'screen-audio'))).toBe(DUCKED);
  expect(loudness(seen, 'eva', 'pt', track('ina', 'screen-audio'))).toBe(DUCKED);
  expect(loudness(seen, 'eva', null, track('ina'))).toBe(0);
  expect(loudness(seen, 'eva', null, track('flo'))).toBe(1);
  expect(loudness(seen, 'eva', 'es', track('flo'))).toBe(1);
});

test('the original comes back while nobody can be heard in the channel', () => {
  const channels = room(channel('pt', { interpreters: ['ina'], speaking: 'ina' }));
  for (const ina of [person('ina', true), person('ina', false, false)]) {
    expect(loudness({ room: channels, people: people(ina) }, 'eva', 'pt', track('flo'))).toBe(1);
  }
  expect(sounds({ room: channels, people: people() }, channels.channels![0]!)).toBe(false);
  expect(loudness({ room: room(channel('pt', { interpreters: ['ina'] })), people: people(person('ina')) }, 'eva', 'pt', track('ina'))).toBe(1);
});

test('an interpreter hears the floor, or by relay another channel instead of it', () => {
  const channels = (listens: string | null) => room(channel('en', { interpreters: ['ina'], speaking: 'ina' }), channel('pt', { interpreters: ['ben'], speaking: 'ben', listens }));
  const all = people(person('ina'), person('ben'), person('flo'));
  expect(loudness({ room: channels(null), people: all }, 'ben', 'en', track('flo'))).toBe(1);
  expect(loudness({ room: channels(null), people: all }, 'ben', 'en', track('ina'))).toBe(0);
  expect(loudness({ room: channels('en'), people: all }, 'ben', null, track('flo'))).toBe(0);
  expect(loudness({ room: channels('en'), people: all }, 'ben', null, track('ina'))).toBe(1);
  expect(heardChannel(channels('en'), 'ben', null)?.language).toBe('en');
  expect(heardChannel(channels('en'), 'eva', 'pt')?.language).toBe('pt');
  expect(spokenInto(channels('en'), 'ben')?.language).toBe('pt');
  expect(givenTo(channels('en'), 'ben').map((one) => one.language)).toEqual(['pt']);
  expect(givenTo(channels('en'), null)).toEqual([]);
});
