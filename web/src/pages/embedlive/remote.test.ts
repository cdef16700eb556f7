import { expect, it } from 'vitest';
import { command } from './remote';

it('understands its commands and nothing else', () => {
  expect(command({ consilium: 'play' })).toEqual({ act: 'play' });
  expect(command({ consilium: 'captions', language: 'pt' })).toEqual({ act: 'captions', language: 'pt' });
  expect(command({ consilium: 'captions' })).toEqual({ act: 'captions', language: null });
  for (const other of [null, 'play', 1, {}, { consilium: 'stop' }, { consilium: 1 }, { consilium: 'captions', language: 3 }, { consilium: 'captions', language: 'x'.repeat(99) }]) {
    expect(command(other)).toBeNull();
  }
});
