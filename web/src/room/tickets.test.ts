import { expect, test } from 'vitest';
import { names, sheet } from './tickets';

test('names are one a line, or the first cell of each line of a spreadsheet', () => {
  expect(names('Eva\n\n  Rui   Costa \r\nAna; ana@example.org')).toEqual(['Eva', 'Rui Costa', 'Ana']);
  expect(names('\ufeff"Dr. ""Bo"" Li, MD",bo@example.org\n"x" , y')).toEqual(['Dr. "Bo" Li, MD', 'x']);
  expect(names('n'.repeat(200))[0]).toHaveLength(80);
  expect(names(' ,\n;;\n')).toEqual([]);
});

test('a sheet has whole links and no formula', () => {
  const ticket = { id: 't', name: '=1+1, "x"', link: '/live/b#k=c', used: false, watching: false };
  expect(sheet([ticket], 'https://meet.example.org', ['Name', 'Link'])).toBe(
    '\ufeff"Name","Link"\r\n"\'=1+1, ""x""","https://meet.example.org/live/b#k=c"\r\n',
  );
});
