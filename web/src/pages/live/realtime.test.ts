import { describe, expect, it } from 'vitest';
import { wait } from './realtime';

describe('when the faster way is tried again', () => {
  it('waits as long as the server asks where there is no room, spread over twice that', () => {
    expect(wait('full', 0, 15, 0)).toBe(15_000);
    expect(wait('full', 9, 15, 1)).toBe(30_000);
    expect(wait('full', 0, 0, 0)).toBe(5_000);
  });
  it('waits longer each time that it broke, up to a minute', () => {
    const waits = [0, 1, 2, 3, 4, 5, 6, 60].map((count) => wait('failed', count, 0, 0));
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });
  it('never where this browser cannot show it', () => expect(wait('refused', 0, 0, 0)).toBeNull());
});
