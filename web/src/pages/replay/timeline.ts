/** From the recording's own time to the page's: what may not be seen takes no time there. Seconds. */

export interface Span {
  start: number;
  end: number;
}

export class Timeline {
  /** `kept` in order; with none everything is there, however long it turns out to be. */
  constructor(readonly kept: readonly Span[]) {}

  /** How long the page's time is, where that is known. */
  get length(): number | null {
    return this.kept.length ? this.kept.reduce((sum, one) => sum + one.end - one.start, 0) : null;
  }

  /** What is between is the end of what is before it. */
  toPage(media: number): number {
    if (!this.kept.length) return media;
    return this.kept.reduce((sum, one) => sum + Math.min(Math.max(0, media - one.start), one.end - one.start), 0);
  }

  toMedia(page: number): number {
    let left = Math.max(0, page);
    for (const [i, one] of this.kept.entries()) {
      const length = one.end - one.start;
      if (left < length || i === this.kept.length - 1) return one.start + Math.min(left, length);
      left -= length;
    }
    return left;
  }

  /** Where to go on when playing has come to a time that is not there: null when it is, or when this is the end. */
  next(media: number): number | null {
    if (!this.kept.length || this.kept.some((one) => media >= one.start - 0.05 && media < one.end)) return null;
    return this.kept.find((one) => one.start > media)?.start ?? null;
  }

  /** Whether playing has come to the end of what is kept. */
  over(media: number): boolean {
    const last = this.kept.at(-1);
    return last !== undefined && media >= last.end;
  }
}
