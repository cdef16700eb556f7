import { expect, test } from 'vitest';
import type { Question } from '../client/protocol';
import { inOrder } from './questions';

test('the most wanted comes first, the older of equals, and what was merged not at all', () => {
  const asked = [
    ['a', 1, 5, 'open'],
    ['b', 3, 9, 'open'],
    ['c', 3, 2, 'open'],
    ['d', 9, 1, 'merged'],
  ].map(([id, votes, at, state]) => ({ id, votes, at, state }) as Question);
  expect(inOrder(asked).map(({ id }) => id)).toEqual(['c', 'b', 'a']);
});
