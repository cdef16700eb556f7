/** Finding words in a transcript whatever their case and accents: `Über` is found by `uber`. */

export interface Range {
  from: number;
  to: number;
}

/** Lower case without marks, and for each folded character where it came from. */
function fold(text: string): { folded: string; origin: number[] } {
  let folded = '';
  const origin: number[] = [];
  let at = 0;
  for (const character of text) {
    for (const piece of character.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()) {
      folded += piece;
      for (let unit = 0; unit < piece.length; unit += 1) origin.push(at);
    }
    at += character.length;
  }
  origin.push(at);
  return { folded, origin };
}

/** Every place of `query` in `text`, in order, none overlapping. An empty query is nowhere. */
export function find(text: string, query: string): Range[] {
  const needle = fold(query.trim().replace(/\s+/g, ' ')).folded;
  if (!needle) return [];
  const { folded, origin } = fold(text);
  const ranges: Range[] = [];
  for (let at = folded.indexOf(needle); at >= 0; at = folded.indexOf(needle, at + needle.length)) {
    const from = origin[at]!;
    const to = origin[at + needle.length]!;
    const last = text.codePointAt(origin[at + needle.length - 1]!)!;
    ranges.push({ from, to: Math.max(to, origin[at + needle.length - 1]! + String.fromCodePoint(last).length) });
  }
  return ranges;
}

export interface Piece {
  text: string;
  hit: number | null;
}

/** `text` cut at its hits, numbered from `first`: what to draw plainly and what to mark. */
export function pieces(text: string, ranges: readonly Range[], first = 0): Piece[] {
  const cut: Piece[] = [];
  let at = 0;
  ranges.forEach((range, i) => {
    if (range.from > at) cut.push({ text: text.slice(at, range.from), hit: null });
    cut.push({ text: text.slice(range.from, range.to), hit: first + i });
    at = range.to;
  });
  if (at < text.length) cut.push({ text: text.slice(at), hit: null });
  return cut;
}
