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
  /** Words of `stable`, by index, that replaced settled ones in the latest revision; null when nothing was corrected. */
  corrected: readonly number[] | null;
  /** The words as spoken, when `stable` is a translation. */
  original: string | null;
  /** What the translation may have wrong; then the original belongs beside it. */
  guard: Caption['guard'];
  /** Words of `stable`, by index, that the recogniser was unsure of. */
  doubtful: readonly number[];
  /** What was recognised before terms of the glossary were put right; null where none were. */
  heard: string | null;
  /** Revision of the words as spoken once they are final: what a correction is of. */
  finalRevision: number | null;
  /** The participant who wrote the words anew. */
  correctedBy: string | null;
  /** The participant who typed the words instead of the machine. */
  writtenBy: string | null;
  /** The language that the speaker interprets into: words of that channel. */
  channel: string | null;
}

interface Entry {
  caption: Caption;
  corrected: readonly number[] | null;
}

interface Segment {
  id: string;
  participant: string;
  start: number;
  source: string;
  languages: Map<string, Entry>;
  line: Line | null;
}

/** A word as it is compared: a comma or a capital that came later corrects nothing. */
const bare = (word: string): string => word.toLowerCase().replace(/[^\p{L}\p{N}%]+/gu, '');

/**
 * Which words of `after` replace settled words of `before`, by index; null when `before` simply goes on. Words are aligned by
 * their longest common subsequence, so that one changed number does not mark the sentence around it.
 */
export function correction(before: string, after: string): readonly number[] | null {
  const old = before.split(/\s+/).filter(Boolean).map(bare);
  const now = after.split(/\s+/).filter(Boolean).map(bare);
  if (old.every((word, i) => word === now[i])) return null;
  // Segments are bounded by the recogniser's window; anything longer is not worth a table.
  if (old.length * now.length > 40_000) return null;
  const width = now.length + 1;
  const common = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      common[i * width + j] =
        old[i] === now[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const marked: number[] = [];
  let [i, j] = [0, 0];
  while (i < old.length && j < now.length) {
    const [fromOld, fromNew] = [i, j];
    while (i < old.length && j < now.length && old[i] !== now[j]) {
      if (common[(i + 1) * width + j]! >= common[i * width + j + 1]!) i += 1;
      else j += 1;
    }
    const end = i >= old.length || j >= now.length;
    // At the end, as many words as were there before are corrected; the rest is simply new.
    const last = end ? Math.min(now.length, fromNew + old.length - fromOld) : j;
    if (end || i > fromOld) for (let k = fromNew; k < last; k += 1) marked.push(k);
    if (end) break;
    i += 1;
    j += 1;
  }
  return marked.length > 0 ? marked : null;
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
    // A translation of what is still being said is replaced at the end: that corrects nothing.
    const settled = known && (known.caption.final || same(caption.language, caption.source));
    const corrected = known && settled && known.caption.stable ? correction(known.caption.stable, caption.stable) : null;
    segment.languages.set(caption.language, { caption, corrected });
    segment.participant = caption.participant;
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
      guard: translated ? caption.guard : [],
      doubtful: translated ? [] : caption.doubtful,
      heard: translated ? null : caption.heard,
      finalRevision: original?.caption.final ? original.caption.revision : null,
      correctedBy: original?.caption.correctedBy ?? null,
      writtenBy: original?.caption.writtenBy ?? null,
      channel: caption.channel,
    };
  }
}
