/** Everybody side by side: who is on a tile at a moment (recorder/grid.py), and how a tile keeps to the sound's clock. Pure. */
import type { Turn } from './recording';
import type { Span } from './timeline';

/** As `/api/recordings/{id}/grid` gives it; times in ms of the recording. */
export interface GridAnswer {
  seats: { id: string; name: string; present: Span[]; pictures: { track: number; source: string; playlist: string; spans: Span[] }[] }[];
  sound: string;
}

/** A tile. `playlist` is what to play on it, null: there is the name only. */
export interface Shown {
  key: string;
  id: string;
  name: string;
  source: 'camera' | 'screen';
  playlist: string | null;
}

/** Whether `at` (ms) is in one of `spans`, which are in order and apart. */
export function within(spans: readonly Span[], at: number): boolean {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]!.start <= at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at < spans[low - 1]!.end;
}

/** When everybody last spoke, by id, of turns in the page's time that have begun at `time`; who speaks now is latest. */
export function heard(turns: readonly Turn[], time: number): Map<string, number> {
  const last = new Map<string, number>();
  for (const turn of turns) {
    if (turn.start > time) break;
    last.set(turn.person.id, Math.max(last.get(turn.person.id) ?? -1, Math.min(turn.end, time)));
  }
  return last;
}

/**
 * Who is on a tile at `at` (ms of the recording), at most `most`: screens first, then who spoke last, then who has a picture.
 * They stand in the order in which people came, so that nobody jumps when somebody speaks. `more` have no tile.
 */
export function arrange(seats: GridAnswer['seats'], at: number, spoke: ReadonlyMap<string, number>, most: number): { tiles: Shown[]; more: number } {
  const screens: Shown[] = [];
  const cameras: (Shown & { order: number })[] = [];
  for (const [order, seat] of seats.entries()) {
    if (!within(seat.present, at)) continue;
    const on = (source: string) => seat.pictures.find((one) => (one.source === 'screen') === (source === 'screen') && within(one.spans, at));
    const { id, name } = seat;
    const screen = on('screen');
    if (screen) screens.push({ key: `${id} screen`, id, name, source: 'screen', playlist: screen.playlist });
    cameras.push({ key: `${id} camera`, id, name, source: 'camera', playlist: on('camera')?.playlist ?? null, order });
  }
  const room = Math.max(0, most - Math.min(screens.length, Math.max(1, most - 1)));
  const chosen = [...cameras].sort(
    (a, b) => (spoke.get(b.id) ?? -1) - (spoke.get(a.id) ?? -1) || Number(b.playlist !== null) - Number(a.playlist !== null) || a.order - b.order,
  );
  const kept = chosen.slice(0, room).sort((a, b) => a.order - b.order);
  const first = screens.slice(0, most - kept.length);
  return { tiles: [...first, ...kept.map(({ order: _, ...tile }) => tile)], more: screens.length + cameras.length - first.length - kept.length };
}

/** Seconds: beyond `FAR` a tile jumps, within `NEAR` it is left alone, in between it plays a little faster or slower. */
export const FAR = 0.4;
export const NEAR = 0.012;

/** What a tile does that is `drift` seconds before the sound, which plays at `rate` (0: stands still). */
export function follow(drift: number, rate: number): { jump: boolean; rate: number } {
  if (rate === 0) return { jump: Math.abs(drift) > 0.03, rate: 1 };
  if (Math.abs(drift) > FAR * Math.max(1, rate)) return { jump: true, rate };
  if (Math.abs(drift) < NEAR) return { jump: false, rate };
  return { jump: false, rate: rate * (1 - Math.max(-0.12, Math.min(0.12, drift * 1.2))) };
}
