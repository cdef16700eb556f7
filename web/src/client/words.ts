/** A text in runs: words that carry a mark apart from those that carry none. */
export type Mark = '' | 'corrected' | 'doubtful';

export interface Run {
  text: string;
  mark: Mark;
}

/** `doubtful` and `corrected` are words of `text`, by index; who is both is doubtful. Runs are joined by single spaces. */
export function runs(text: string, doubtful: readonly number[], corrected: readonly number[] = []): Run[] {
  if (doubtful.length === 0 && corrected.length === 0) return [{ text, mark: '' }];
  const [unsure, anew] = [new Set(doubtful), new Set(corrected)];
  const out: Run[] = [];
  for (const [i, word] of text.split(/\s+/).filter(Boolean).entries()) {
    const mark = unsure.has(i) ? 'doubtful' : anew.has(i) ? 'corrected' : '';
    const last = out.at(-1);
    if (last?.mark === mark) last.text += ` ${word}`;
    else out.push({ text: word, mark });
  }
  return out;
}

/** Where the words with these indices stand in `text`. */
export function places(text: string, words: readonly number[]): { from: number; to: number }[] {
  if (words.length === 0) return [];
  const wanted = new Set(words);
  return [...text.matchAll(/\S+/g)].filter((_, i) => wanted.has(i)).map((found) => ({ from: found.index, to: found.index + found[0].length }));
}

/** What was put in place of what: the words between the beginning and the end that both texts share. */
export function difference(heard: string, written: string): { heard: string; term: string } {
  const [before, after] = [heard.split(/\s+/).filter(Boolean), written.split(/\s+/).filter(Boolean)];
  const bare = (word: string | undefined) => word?.toLowerCase().replace(/[^\p{L}\p{N}%]+/gu, '');
  let start = 0;
  while (start < Math.min(before.length, after.length) && bare(before[start]) === bare(after[start])) start += 1;
  let end = 0;
  while (end < Math.min(before.length, after.length) - start && bare(before.at(-1 - end)) === bare(after.at(-1 - end))) end += 1;
  const cut = (words: string[]) => words.slice(start, words.length - end).join(' ').replace(/^[\s.,;:!?]+|[\s.,;:!?]+$/g, '');
  return { heard: cut(before), term: cut(after) };
}
