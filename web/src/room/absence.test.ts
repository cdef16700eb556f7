import { expect, test } from 'vitest';
import type { Person } from '../client/protocol';
import { Absence, PATIENCE } from './absence';

const people = (...all: [string, boolean][]) => all.map(([id, connected]) => ({ id, connected }) as Person);

test('a connection that is lost for a moment makes nobody absent, one that stays lost does', () => {
  const absence = new Absence();
  const known = () => true;
  expect(absence.look(people(['a', true], ['b', true]), 0, known)).toBeNull();
  expect(absence.look(people(['a', true], ['b', false]), 1_000, known)).toBe(PATIENCE);
  expect(absence.look(people(['a', true], ['b', true]), 3_000, known)).toBeNull();
  expect(absence.look(people(['a', true], ['b', false]), 4_000, known)).toBe(PATIENCE);
  expect(absence.look(people(['a', false], ['b', false]), 6_000, known)).toBe(PATIENCE - 2_000);
  expect([...absence.absent]).toEqual([]);
  expect(absence.look(people(['a', false], ['b', false]), 4_000 + PATIENCE, known)).toBe(2_000);
  expect([...absence.absent]).toEqual(['b']);
  absence.look(people(['a', true], ['b', true]), 10_000, known);
  expect([...absence.absent]).toEqual([]);
});

test('whoever was lost before we came is absent at once', () => {
  const absence = new Absence();
  expect(absence.look(people(['a', false], ['b', true]), 0, () => false)).toBeNull();
  expect([...absence.absent]).toEqual(['a']);
});

test('the set is another one only when somebody comes or goes', () => {
  const absence = new Absence();
  absence.look(people(['a', false]), 0, () => false);
  const before = absence.absent;
  absence.look(people(['a', false]), 1, () => false);
  expect(absence.absent).toBe(before);
});
