import { expect, test } from 'vitest';
import { cutsOf, cutting, joined, key, left, restored, written } from './edits';

test('cuts are kept in order, joined where they touch, and within the recording', () => {
  expect(joined([{ start: 8, end: 20 }, { start: -1, end: 2 }, { start: 2, end: 3 }, { start: 5, end: 5 }], 10)).toEqual([
    { start: 0, end: 3 },
    { start: 8, end: 10 },
  ]);
});

test('a part of a cut comes back, and the rest stays out', () => {
  expect(restored([{ start: 2, end: 8 }], 4, 5)).toEqual([{ start: 2, end: 4 }, { start: 5, end: 8 }]);
  expect(restored([{ start: 2, end: 8 }], 0, 9)).toEqual([]);
  expect(restored([{ start: 2, end: 8 }], 9, 10)).toEqual([{ start: 2, end: 8 }]);
});

test('what is touched by a cut is cut out', () => {
  const cuts = [{ start: 2, end: 4 }];
  expect([cutting(cuts, 0, 2), cutting(cuts, 1, 2.1), cutting(cuts, 4, 5)]).toEqual([null, cuts[0], null]);
  expect(left(cuts, 10)).toBe(8);
});

test('what is sent is in whole milliseconds and without names that were emptied', () => {
  const word = { segment: 's', language: 'en', text: 'x' };
  const sent = written(3, [{ start: 0.1234, end: 1 }], { a: 'Ann', b: ' ' }, new Map([[key('s', 'en'), word]]));
  expect(sent).toEqual({ revision: 3, cuts: [{ start: 123, end: 1000 }], names: { a: 'Ann' }, words: [word] });
  expect(cutsOf(sent)).toEqual([{ start: 0.123, end: 1 }]);
});
