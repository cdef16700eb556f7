/** Edits of a recording (recorder/edits.py): instructions over what was recorded. Pure; times in seconds here. */

export interface Correction {
  segment: string;
  language: string;
  text: string;
}
/** As on the wire, times in milliseconds. */
export interface Edits {
  revision: number;
  cuts: { start: number; end: number }[];
  names: Record<string, string>;
  words: Correction[];
}
export interface Cut {
  start: number;
  end: number;
}

export const cutsOf = (edits: Edits): Cut[] => edits.cuts.map(({ start, end }) => ({ start: start / 1000, end: end / 1000 }));

/** In order, what touches joined; within the recording. */
export function joined(cuts: readonly Cut[], duration: number): Cut[] {
  const result: Cut[] = [];
  const inside = cuts.map(({ start, end }) => ({ start: Math.max(0, start), end: Math.min(end, duration) })).filter(({ start, end }) => end > start);
  for (const cut of inside.sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last && cut.start <= last.end) last.end = Math.max(last.end, cut.end);
    else result.push({ ...cut });
  }
  return result;
}

/** Without what is between `start` and `end`. */
export function restored(cuts: readonly Cut[], start: number, end: number): Cut[] {
  return cuts.flatMap((cut) => [
    { start: cut.start, end: Math.min(cut.end, start) },
    { start: Math.max(cut.start, end), end: cut.end },
  ]).filter((cut) => cut.end > cut.start);
}

/** The cut that takes something from `start` to `end` out, or null. */
export const cutting = (cuts: readonly Cut[], start: number, end: number): Cut | null => cuts.find((cut) => start < cut.end && end > cut.start) ?? null;

/** How long what is left is. */
export const left = (cuts: readonly Cut[], duration: number): number => duration - cuts.reduce((sum, cut) => sum + cut.end - cut.start, 0);

export const key = (segment: string, language: string): string => `${language} ${segment}`;

/** What is sent: whole milliseconds, only names and words that are others than those recorded. */
export function written(revision: number, cuts: readonly Cut[], names: Record<string, string>, words: ReadonlyMap<string, Correction>): Edits {
  return {
    revision,
    cuts: cuts.map(({ start, end }) => ({ start: Math.round(start * 1000), end: Math.round(end * 1000) })),
    names: Object.fromEntries(Object.entries(names).filter(([, name]) => name.trim())),
    words: [...words.values()],
  };
}
