/**
 * Words by (segment, language), the highest revision of each; and what one reader sees of them: the translation where there is
 * one, else the original. Late revisions, repeats and snapshots are all the same call.
 */
import type { Caption } from './protocol';
import { Store } from './store';

/** One segment as one reader sees it. */
export interface Line {
  segment: string;
  participant: string;
  start: number;
  end: number;
  source: string;
  language: string;
  translated: boolean;
  stable: string;
  tail: string;
  final: boolean;
  /** Words of `stable` that replaced settled ones, as [first, past the last] word; null when nothing was corrected. */
  corrected: readonly [number, number] | null;
  /** The words as spoken, when `stable` is a translation. */
  original: string | null;
}

interface Entry {
  caption: Caption;
  corrected: readonly [number, number] | null;
}

interface Segment {
  id: string;
  participant: string;
  start: number;
  source: string;
  languages: Map<string, Entry>;
  line: Line | null;
}

/** Which words of `after` replace settled words of `before`; null when `before` simply goes on. */
export function correction(before: string, after: string): readonly [number, number] | null {
  const old = before.split(/\s+/).filter(Boolean);
  const now = after.split(/\s+/).filter(Boolean);
  let first = 0;
  while (first < old.length && first < now.length && old[first] === now[first]) first += 1;
  if (first >= old.length) return null;
  let tail = 0;
  while (tail < old.length - first && tail < now.length - first && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1;
  // Without a common end, as many words as were there before count as corrected; the rest is simply new.
  const last = tail > 0 ? now.length - tail : Math.min(now.length, old.length);
  return first < last ? [first, last] : null;
}

const same = (a: string, b: string): boolean => a.split('-')[0]!.toLowerCase() === b.split('-')[0]!.toLowerCase();

export class Captions {
  /** What the reader sees, in order of start; a new array on every change, unchanged lines the same objects. */
  readonly lines = new Store<readonly Line[]>([]);
  private readonly segments = new Map<string, Segment>();
  private order: Segment[] = [];
  private reads: string | null = null;

  constructor(private readonly limit = 20_000) {}

  /** Takes one event; false when it was old news. */
  apply(caption: Caption): boolean {
    if (!this.take(caption)) return false;
    this.publish();
    return true;
  }

  /** Takes many at once (a late joiner's snapshot). */
  applyAll(captions: readonly Caption[]): void {
    let changed = false;
    for (const caption of captions) changed = this.take(caption) || changed;
    if (changed) this.publish();
  }

  /** The reader chose another language (null: the originals). */
  read(language: string | null): void {
    if (language === this.reads) return;
    this.reads = language;
    for (const segment of this.order) segment.line = null;
    this.publish();
  }

  private take(caption: Caption): boolean {
    let segment = this.segments.get(caption.segment);
    if (!segment) {
      segment = { id: caption.segment, participant: caption.participant, start: caption.start, source: caption.source, languages: new Map(), line: null };
      this.segments.set(caption.segment, segment);
      let at = this.order.length;
      while (at > 0 && this.order[at - 1]!.start > caption.start) at -= 1;
      this.order.splice(at, 0, segment);
      if (this.order.length > this.limit) this.segments.delete(this.order.shift()!.id);
    }
    const known = segment.languages.get(caption.language);
    if (known && known.caption.revision >= caption.revision) return false;
    const corrected = known && known.caption.stable ? correction(known.caption.stable, caption.stable) : null;
    segment.languages.set(caption.language, { caption, corrected });
    if (same(caption.language, caption.source)) segment.source = caption.source;
    segment.line = null;
    return true;
  }

  private publish(): void {
    const lines: Line[] = [];
    for (const segment of this.order) {
      segment.line ??= this.view(segment);
      if (segment.line && (segment.line.stable || segment.line.tail)) lines.push(segment.line);
    }
    this.lines.set(lines);
  }

  private view(segment: Segment): Line | null {
    let original: Entry | null = null;
    let wanted: Entry | null = null;
    for (const entry of segment.languages.values()) {
      if (same(entry.caption.language, entry.caption.source)) original = entry;
      else if (this.reads !== null && same(entry.caption.language, this.reads)) wanted = entry;
    }
    if (original && this.reads !== null && same(original.caption.language, this.reads)) wanted = null;
    const shown = wanted && (wanted.caption.stable || wanted.caption.tail || !original) ? wanted : original;
    if (!shown) return null;
    const { caption } = shown;
    const translated = shown !== original;
    return {
      segment: segment.id,
      participant: segment.participant,
      start: segment.start,
      end: Math.max(caption.end, original?.caption.end ?? 0),
      source: caption.source,
      language: caption.language,
      translated,
      stable: caption.stable,
      tail: caption.tail,
      final: caption.final,
      corrected: shown.corrected,
      original: translated && original ? [original.caption.stable, original.caption.tail].filter(Boolean).join(' ') : null,
    };
  }
}
