import { expect, it } from 'vitest';
import { taken } from './board';
import type { Question } from './protocol';

const question = (id: string, state: Question['state'], into: string | null = null): Question => ({ id, state, into, name: null, text: id, language: null, at: 0, votes: 1, answer: null, answeredBy: null, liveAt: null });

it('keeps what was merged for those who asked it or wanted it answered', () => {
  const known = new Map(['a', 'b', 'c'].map((id) => [id, question(id, 'open')]));
  known.set('w', question('w', 'waiting'));
  const merged = ['a', 'b', 'w'].map((id) => question(id, 'merged', 'c'));
  const next = taken(known, new Set(['a']), merged, []);
  expect([...next.keys()].sort()).toEqual(['a', 'c', 'w']);
  expect(next.get('a')!.into).toBe('c');
  // Told again, it stays; what is gone is gone.
  expect([...taken(next, new Set(), [question('w', 'merged', 'c')], ['a']).keys()].sort()).toEqual(['c', 'w']);
});
