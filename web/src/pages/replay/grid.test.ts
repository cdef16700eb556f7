import { describe, expect, it } from 'vitest';
import { arrange, FAR, follow, type GridAnswer, heard, NEAR, within } from './grid';
import type { Turn } from './recording';

const whole = [{ start: 0, end: 60_000 }];
const seat = (id: string, present = whole, sources: ('camera' | 'screen')[] = ['camera']): GridAnswer['seats'][number] => ({
  id,
  name: id.toUpperCase(),
  present,
  pictures: sources.map((source, track) => ({ track, source, playlist: `/${id}-${source}.m3u8`, spans: present })),
});
const keys = (found: ReturnType<typeof arrange>) => found.tiles.map((tile) => tile.key);

describe('a moment in spans', () => {
  it('is in one from its start up to, not including, its end', () => {
    const spans = [
      { start: 10, end: 20 },
      { start: 20, end: 30 },
      { start: 50, end: 60 },
    ];
    expect([9, 10, 19, 20, 29, 30, 50, 60].map((at) => within(spans, at))).toEqual([false, true, true, true, true, false, true, false]);
    expect(within([], 5)).toBe(false);
  });
});

describe('who is on a tile', () => {
  const seats = [seat('ann'), seat('bob', whole, []), seat('cid', [{ start: 30_000, end: 60_000 }]), seat('dan')];

  it('is who is there, in the order in which they came', () => {
    expect(keys(arrange(seats, 10_000, new Map(), 9))).toEqual(['ann camera', 'bob camera', 'dan camera']);
    expect(keys(arrange(seats, 40_000, new Map([['dan', 39]]), 9))).toEqual(['ann camera', 'bob camera', 'cid camera', 'dan camera']);
  });

  it('is who spoke last where not all have one, then who has a picture; the others are counted', () => {
    expect(arrange(seats, 40_000, new Map([['bob', 39], ['dan', 12]]), 2)).toMatchObject({ tiles: [{ id: 'bob', playlist: null }, { id: 'dan' }], more: 2 });
    expect(keys(arrange(seats, 40_000, new Map(), 2))).toEqual(['ann camera', 'cid camera']);
  });

  it('puts shared screens first, and leaves a face beside them', () => {
    const shared = [...seats, seat('eve', whole, ['camera', 'screen']), seat('fay', whole, ['screen'])];
    expect(keys(arrange(shared, 10_000, new Map([['dan', 9]]), 3))).toEqual(['eve screen', 'fay screen', 'dan camera']);
    expect(arrange(shared, 10_000, new Map(), 1)).toMatchObject({ tiles: [{ key: 'eve screen' }], more: 6 });
    expect(keys(arrange(shared, 10_000, new Map([['dan', 9]]), 2))).toEqual(['eve screen', 'dan camera']);
  });

  it('knows when everybody last spoke', () => {
    const person = (id: string) => ({ id, name: id, color: 0 });
    const turns: Turn[] = [
      { person: person('ann'), start: 0, end: 10 },
      { person: person('bob'), start: 10, end: 30 },
      { person: person('ann'), start: 40, end: 50 },
    ];
    expect([...heard(turns, 20)]).toEqual([['ann', 10], ['bob', 20]]);
  });
});

describe('a tile that keeps to the sound', () => {
  it('stands where the sound stands', () => {
    expect(follow(0.02, 0)).toEqual({ jump: false, rate: 1 });
    expect(follow(-0.2, 0)).toEqual({ jump: true, rate: 1 });
  });

  it('jumps when it is far off, and the farther the faster all plays', () => {
    expect(follow(FAR + 0.01, 1).jump).toBe(true);
    expect(follow(FAR + 0.01, 2).jump).toBe(false);
    expect(follow(-2 * FAR - 0.01, 2).jump).toBe(true);
  });

  it('is left alone when it is near, else plays a little slower or faster, within bounds', () => {
    expect(follow(NEAR / 2, 1.5)).toEqual({ jump: false, rate: 1.5 });
    for (let drift = -FAR; drift <= FAR; drift += 0.01) {
      const { rate } = follow(drift, 1);
      expect(rate).toBeGreaterThanOrEqual(0.88);
      expect(rate).toBeLessThanOrEqual(1.12);
      if (Math.abs(drift) >= NEAR) expect(Math.sign(1 - rate)).toBe(Math.sign(drift));
    }
  });

  it('comes together from any drift that it does not jump over', () => {
    for (const began of [0.39, -0.39, 0.1, -0.05]) {
      let drift = began;
      for (let tick = 0; tick < 60; tick += 1) drift += (follow(drift, 1).rate - 1) * 0.2;
      expect(Math.abs(drift)).toBeLessThan(NEAR * 1.5);
    }
  });
});
