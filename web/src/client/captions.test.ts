import { expect, test } from 'vitest';
import { Captions, correction } from './captions';
import type { Caption } from './protocol';

const caption = (change: Partial<Caption>): Caption => ({
  segment: 's1',
  revision: 1,
  participant: 'ana',
  track: 't1',
  source: 'en',
  language: 'en',
  start: 1000,
  end: 2000,
  stable: '',
  tail: '',
  final: false,
  engine: null,
  pivot: null,
  confidence: null,
  guard: [],
  heard: null,
  doubtful: [],
  correctedBy: null,
  writtenBy: null,
  channel: null,
  ...change,
});
const texts = (captions: Captions) => captions.lines.get().map((line) => `${line.stable}|${line.tail}`);

test('a newer revision replaces an older one and an older one that comes late is dropped', () => {
  const captions = new Captions();
  expect(captions.apply(caption({ revision: 3, stable: 'five milligrams' }))).toBe(true);
  expect(captions.apply(caption({ revision: 2, tail: 'five' }))).toBe(false);
  expect(captions.apply(caption({ revision: 3, stable: 'other' }))).toBe(false);
  expect(texts(captions)).toEqual(['five milligrams|']);
});

test('a snapshot after live words changes nothing that is newer, and fills in what was missed in order of time', () => {
  const captions = new Captions();
  captions.apply(caption({ segment: 's2', start: 5000, revision: 4, stable: 'second' }));
  captions.applyAll([caption({ segment: 's1', start: 1000, stable: 'first' }), caption({ segment: 's2', start: 5000, revision: 2, tail: 'sec' })]);
  expect(texts(captions)).toEqual(['first|', 'second|']);
});

test('a reader sees the translation where there is one and the original until then', () => {
  const captions = new Captions();
  captions.read('pt');
  captions.apply(caption({ stable: 'the left knee' }));
  expect(captions.lines.get()[0]).toMatchObject({ stable: 'the left knee', translated: false, original: null });
  captions.apply(caption({ language: 'pt', stable: 'o joelho esquerdo', engine: 'firefox' }));
  expect(captions.lines.get()[0]).toMatchObject({ stable: 'o joelho esquerdo', translated: true, original: 'the left knee', language: 'pt' });
});

test('changing the language shows at once what is already known in it, and none brings the originals back', () => {
  const captions = new Captions();
  captions.apply(caption({ stable: 'yes' }));
  captions.apply(caption({ language: 'pt', stable: 'sim', engine: 'firefox' }));
  expect(texts(captions)).toEqual(['yes|']);
  captions.read('pt-BR');
  expect(texts(captions)).toEqual(['sim|']);
  captions.read(null);
  expect(texts(captions)).toEqual(['yes|']);
});

test('a speaker of the language that one reads is shown in the original, never translated back', () => {
  const captions = new Captions();
  captions.read('en');
  captions.apply(caption({ stable: 'yes' }));
  captions.apply(caption({ language: 'pt', stable: 'sim' }));
  expect(captions.lines.get()[0]).toMatchObject({ stable: 'yes', translated: false });
});

test('unchanged lines stay the same objects, so that the page need not draw them again', () => {
  const captions = new Captions();
  captions.apply(caption({ stable: 'first', final: true }));
  const before = captions.lines.get()[0];
  captions.apply(caption({ segment: 's2', start: 3000, tail: 'second' }));
  expect(captions.lines.get()[0]).toBe(before);
});

test('a segment without words takes no line, and the oldest go when there are too many', () => {
  const captions = new Captions(2);
  captions.apply(caption({ segment: 'empty', start: 1 }));
  expect(texts(captions)).toEqual([]);
  for (const [i, word] of ['a', 'b', 'c'].entries()) captions.apply(caption({ segment: word, start: 10 + i, stable: word }));
  expect(texts(captions)).toEqual(['b|', 'c|']);
});

test.each([
  ['she was given', 'she was given five', null],
  ['', 'anything', null],
  ['given fifty milligrams', 'given fifteen milligrams daily', [1]],
  ['Good morning everyone. Our', 'Good morning, everyone, our patient', null],
  ['take fifty now', 'take fifteen', [1]],
  ['5 mg on the left side', '10 mg on the right side today', [0, 4]],
  ['a left knee', 'a swollen left knee', null],
  ['one two three', 'one', null],
] as const)('correction of %j by %j', (before, after, words) => {
  expect(correction(before, after)).toEqual(words);
});

test('hands on what a translation may have wrong, and nothing of it for originals', () => {
  const captions = new Captions();
  captions.read('pt');
  captions.apply(caption({ language: 'en', stable: 'Give 5 mg.', final: true, revision: 1 }));
  captions.apply(caption({ language: 'pt', stable: 'Dê 50 mg.', final: true, revision: 1, guard: ['dose'] }));
  expect(captions.lines.get()[0]).toMatchObject({ guard: ['dose'], original: 'Give 5 mg.' });
  captions.read(null);
  expect(captions.lines.get()[0]).toMatchObject({ guard: [], original: null });
});

test('words that were not heard clearly are named for those who read the original', () => {
  const captions = new Captions();
  captions.apply(caption({ stable: 'Take metformin now.', final: true, heard: 'Take met forming now.', doubtful: [2] }));
  expect(captions.lines.get()[0]).toMatchObject({ doubtful: [2], heard: 'Take met forming now.' });
  captions.apply(caption({ language: 'pt', stable: 'Tome metformina agora.', final: true }));
  captions.read('pt');
  expect(captions.lines.get()[0]).toMatchObject({ doubtful: [], heard: null });
});
