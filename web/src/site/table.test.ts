import { expect, it } from 'vitest';
import { filter, sort } from './table';

const rows = [
  { name: 'Room 10', at: 2 as number | null },
  { name: 'Ärzte', at: null },
  { name: 'room 9', at: 1 },
];

it('filters by every word', () => {
  expect(filter(rows, 'ROOM 9', (row) => [row.name])).toEqual([rows[2]]);
  expect(filter(rows, ' ', (row) => [row.name])).toHaveLength(3);
});

it('sorts texts as people do, and nothing last either way', () => {
  expect(sort(rows, true, (row) => row.name, 'de').map((row) => row.name)).toEqual(['Ärzte', 'room 9', 'Room 10']);
  expect(sort(rows, true, (row) => row.at, 'de').map((row) => row.at)).toEqual([1, 2, null]);
  expect(sort(rows, false, (row) => row.at, 'de').map((row) => row.at)).toEqual([2, 1, null]);
});
