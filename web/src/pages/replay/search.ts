/** Finding words in a transcript whatever their case and accents: `Über` is found by `uber`. */

export interface Range {
  from: number;
  to: number;
}

interface Folded {
  folded: string;
  origin: number[];
}

/** Texts that were searched before: every key pressed asks for all of a transcript again. */
const known = new Map<string, Folded>();
const KNOWN = 50_000;

/** Lower case without marks, and for each folded character where it came from. */
function fold(text: string): Folded {
  const before = known.get(text);
  if (before) return before;
  const made = text.length < 2000 && /^[\x20-\x7e]*$/.test(text) ? plainFold(text) : fullFold(text);
  if (known.size >= KNOWN) known.clear();
  known.set(text, made);
  return made;
}

const PLAIN = Array.from({ length: 2001 }, (_, i) => i);
const plainFold = (text: string): Folded => ({ folded: text.toLowerCase(), origin: PLAIN });

function fullFold(text: string): Folded {
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

/** Every place of any of the words of `query` in `text`, for marking what the server found. */
export function findWords(text: string, query: string): Range[] {
  const words = query.split(/["\s]+/).filter(Boolean);
  const ranges = words.flatMap((word) => find(text, word)).sort((a, b) => a.from - b.from || b.to - a.to);
  return ranges.filter((range, i) => i === 0 || range.from >= Math.max(...ranges.slice(0, i).map((before) => before.to)));
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
  doubtful: boolean;
}

/** `text` cut at its hits, numbered from `first`, and at what is `doubtful`: what to draw plainly and what to mark. */
export function pieces(text: string, ranges: readonly Range[], first = 0, doubtful: readonly Range[] = []): Piece[] {
  const cut: Piece[] = [];
  let at = 0;
  for (const piece of hits(text, ranges, first)) {
    const end = at + piece.text.length;
    const edges = doubtful.flatMap(({ from, to }) => [from, to]).filter((edge) => edge > at && edge < end);
    for (const to of [...new Set([...edges, end])].sort((a, b) => a - b)) {
      cut.push({ text: text.slice(at, to), hit: piece.hit, doubtful: doubtful.some((one) => one.from <= at && to <= one.to) });
      at = to;
    }
  }
  return cut;
}

function hits(text: string, ranges: readonly Range[], first: number): { text: string; hit: number | null }[] {
  const cut: { text: string; hit: number | null }[] = [];
  let at = 0;
  ranges.forEach((range, i) => {
    if (range.from > at) cut.push({ text: text.slice(at, range.from), hit: null });
    cut.push({ text: text.slice(range.from, range.to), hit: first + i });
    at = range.to;
  });
  if (at < text.length) cut.push({ text: text.slice(at), hit: null });
  return cut;
}
