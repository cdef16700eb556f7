import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Tile } from './protocol';
import { View } from './view';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function view() {
  const told: Tile[][] = [];
  const link = { up: true };
  const made = new View(
    (tiles) => link.up && told.push(tiles) > 0,
    () => Date.now(),
  );
  return { made, told, link };
}

const tile = (width: number, visible = true, pinned = false) => ({ width, height: width / 2, visible, pinned });

test('what many tiles say in a moment is told once, whole numbers within bounds', () => {
  const { made, told } = view();
  made.offered(['a', 'b', 'c']);
  made.show('a', tile(320.4));
  made.show('b', tile(1e9, true, true));
  vi.advanceTimersByTime(100);
  expect(told).toEqual([
    [
      { track: 'a', width: 320, height: 160, visible: true, pinned: false },
      { track: 'b', width: 16384, height: 16384, visible: true, pinned: true },
      { track: 'c', width: 0, height: 0, visible: false, pinned: false },
    ],
  ]);
});

test('what has not changed is not told again, unless the server forgot it', () => {
  const { made, told } = view();
  made.offered(['a']);
  made.show('a', tile(320));
  vi.advanceTimersByTime(100);
  made.show('a', tile(320));
  vi.advanceTimersByTime(5_000);
  expect(told).toHaveLength(1);
  made.resend();
  vi.advanceTimersByTime(0);
  expect(told).toHaveLength(2);
});

test('a tile that moves to another place in the page is never told as gone', () => {
  const { made, told } = view();
  made.offered(['a']);
  made.show('a', tile(320));
  vi.advanceTimersByTime(100);
  made.show('a', null);
  made.show('a', tile(640, false));
  vi.advanceTimersByTime(50);
  made.show('a', tile(640));
  vi.advanceTimersByTime(5_000);
  expect(told.map((tiles) => [tiles[0]!.width, tiles[0]!.visible])).toEqual([
    [320, true],
    [640, true],
  ]);
});

test('a page out of sight sees nothing after a moment, and is back at once', () => {
  const { made, told } = view();
  made.offered(['a']);
  made.show('a', tile(320));
  vi.advanceTimersByTime(100);
  made.hide(true);
  vi.advanceTimersByTime(1_000);
  expect(told).toHaveLength(1);
  vi.advanceTimersByTime(500);
  expect(told.at(-1)![0]!.visible).toBe(false);
  made.hide(false);
  vi.advanceTimersByTime(0);
  expect(told.at(-1)![0]!.visible).toBe(true);
});

test('what could not be told is told when the server is back', () => {
  const { made, told, link } = view();
  link.up = false;
  made.offered(['a']);
  vi.advanceTimersByTime(100);
  link.up = true;
  made.resend();
  vi.advanceTimersByTime(0);
  expect(told).toHaveLength(1);
});

test('a picture counts as watched only when it has been in sight for a while', () => {
  const { made } = view();
  made.offered(['a']);
  expect(made.watched('a')).toBe(false);
  made.show('a', tile(320));
  vi.advanceTimersByTime(3_900);
  expect(made.watched('a')).toBe(false);
  vi.advanceTimersByTime(200);
  expect(made.watched('a')).toBe(true);
  made.interrupted('a');
  expect(made.watched('a')).toBe(false);
  vi.advanceTimersByTime(4_000);
  expect(made.watched('a')).toBe(true);
  made.hide(true);
  expect(made.watched('a')).toBe(false);
});
