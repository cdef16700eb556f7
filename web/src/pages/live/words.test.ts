import { describe, expect, it } from 'vitest';
import { STAY_MS, Words, type Caption } from './words';

const caption = (more: Partial<Caption>): Caption => ({
  segment: 's1',
  revision: 1,
  language: 'en',
  source: 'en',
  name: 'Ana',
  color: 0,
  start: 1000,
  end: 3000,
  text: 'Take five',
  final: true,
  ...more,
});

describe('words of a broadcast', () => {
  it('shows a segment from its first word until a while after its last', () => {
    const words = new Words();
    words.take(caption({}));
    expect(words.at(999, null)).toEqual([]);
    expect(words.at(1000, null)).toHaveLength(1);
    expect(words.at(3000 + STAY_MS, null)).toHaveLength(1);
    expect(words.at(3001 + STAY_MS, null)).toEqual([]);
  });
  it('prefers the language that is read, and shows the original until its translation is there', () => {
    const words = new Words();
    words.take(caption({}));
    expect(words.at(2000, 'pt')[0]).toMatchObject({ text: 'Take five', translated: false });
    words.take(caption({ language: 'pt', text: 'Tome cinco' }));
    expect(words.at(2000, 'pt')[0]).toMatchObject({ text: 'Tome cinco', translated: true });
    expect(words.at(2000, null)[0]).toMatchObject({ text: 'Take five' });
  });
  it('keeps the newest revision whatever the order, and takes words back', () => {
    const words = new Words();
    words.take(caption({ revision: 3, text: 'Take fifty' }));
    words.take(caption({ revision: 2, text: 'Take five' }));
    expect(words.at(2000, null)[0]!.text).toBe('Take fifty');
    words.take(caption({ revision: 4, text: '' }));
    expect(words.at(2000, null)).toEqual([]);
  });
  it('lets words stay from when they came where the picture is ahead of them', () => {
    const words = new Words();
    words.take(caption({}), 9000);
    expect(words.at(9000, null)).toEqual([]);
    expect(words.at(9000 + STAY_MS, null, true)).toHaveLength(1);
    expect(words.at(9001 + STAY_MS, null, true)).toEqual([]);
  });
  it('shows the last two of many who speak at once', () => {
    const words = new Words();
    for (let i = 0; i < 4; i += 1) words.take(caption({ segment: `s${i}`, start: 1000 + i, text: `${i}` }));
    expect(words.at(2000, null).map((one) => one.text)).toEqual(['2', '3']);
  });
});
