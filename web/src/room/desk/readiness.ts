/** Whether somebody on stage can go on air, and what is missing. */
import type { Person, Seat } from '../../client/protocol';

/** `ready`, or the first thing that is missing, the worst first. */
export type Readiness = 'away' | 'poor' | 'silent' | 'dark' | 'muted' | 'quiet' | 'ready';
/** A level that is no noise of the room. */
export const HEARD = 0.2;

/** `seat` is as the server measures; without one nothing is known of what comes. `heard`: they spoke, and it came. */
export function readiness(person: Person, seat: Seat | undefined, heard: boolean): Readiness {
  if (!person.connected) return 'away';
  const microphone = person.tracks.find((track) => track.source === 'microphone');
  const camera = person.tracks.find((track) => track.source === 'camera' && !track.muted);
  if (seat && seat.quality < 2 && (microphone || camera)) return 'poor';
  // A microphone that is silent sends all the same, or comfort noise now and then; one that is not there never did.
  if (!microphone) return 'silent';
  if (camera && seat && !seat.picture) return 'dark';
  if (microphone.muted) return 'muted';
  return heard ? 'ready' : 'quiet';
}

/** A number that grew old: the last `most` of them, at most one a second. */
export function remember(history: readonly number[], value: number, most = 600): readonly number[] {
  return [...history.slice(-(most - 1)), value];
}

/** The points of a line over a box of `width` by `height`, from 0 to the greatest; empty for fewer than two. */
export function line(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return '';
  const top = Math.max(1, ...values);
  const step = width / (values.length - 1);
  return values.map((value, i) => `${(i * step).toFixed(1)},${(height - (value / top) * height).toFixed(1)}`).join(' ');
}
