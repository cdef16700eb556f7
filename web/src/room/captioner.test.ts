import { describe, expect, it } from 'vitest';
import { endsLine } from './captioner';

describe('a line of typed captions', () => {
  it('ends after a sentence, once something follows it', () => {
    expect(endsLine('She has no pain today.')).toBe(0);
    expect(endsLine('She has no pain today. ')).toBe(22);
    expect(endsLine('She has no pain today. And')).toBe(22);
    expect(endsLine('Is the left knee swollen? “Yes')).toBe(25);
  });
  it('goes on after an abbreviation, a number and a word or two', () => {
    for (const open of ['Please ask for Dr. ', 'He takes 5 mg. ', 'Yes, thank you. ', 'The value is 4.5 and', '']) expect(endsLine(open)).toBe(0);
  });
});
