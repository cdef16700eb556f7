import { expect, it } from 'vitest';
import { pathOf } from './links';

it('understands what people paste', () => {
  const origin = 'http://127.0.0.1:8080';
  expect(pathOf(' abcDEF123_- ', origin)).toBe('/j/abcDEF123_-');
  expect(pathOf('https://meet.example.org/j/abcd', origin)).toBe('/j/abcd');
  expect(pathOf('meet.example.org/replay/r1#k=c0de', origin)).toBe('/replay/r1#k=c0de');
  expect(pathOf('/r/room', origin)).toBe('/r/room');
});

it('refuses what leads nowhere of ours', () => {
  for (const text of ['', 'javascript:alert(1)', 'https://example.org/', 'https://example.org/j/', 'two words', '//j/x y', 'ftp://x/j/abcd']) {
    expect(pathOf(text, 'http://127.0.0.1:8080'), text).toBe(null);
  }
});
