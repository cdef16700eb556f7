import { describe, expect, it } from 'vitest';
import { difference, places, runs } from './words';

describe('runs', () => {
  it('sets marked words apart and joins neighbours', () => {
    expect(runs('take  five milligrams now', [1], [1, 2])).toEqual([
      { text: 'take', mark: '' },
      { text: 'five', mark: 'doubtful' },
      { text: 'milligrams', mark: 'corrected' },
      { text: 'now', mark: '' },
    ]);
    expect(runs('a  b', [])).toEqual([{ text: 'a  b', mark: '' }]);
  });
  it('finds words in the text, and nothing where there is no such word', () => {
    expect(places(' ab  cd ', [1, 7])).toEqual([{ from: 5, to: 7 }]);
  });
  it('tells a term from what it was heard as', () => {
    expect(difference('Take met forming.', 'Take metformin.')).toEqual({ heard: 'met forming', term: 'metformin' });
    expect(difference('Same.', 'Same.')).toEqual({ heard: '', term: '' });
  });
});
