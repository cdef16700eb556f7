/**
 * What to do when the processor cannot encode fast enough: first leave out the largest picture, then go over to a codec that
 * costs less. Pure: readings and time go in, one step at a time comes out.
 */
export type Relief = 'shed' | 'cheaper';

/** Milliseconds that the browser must have been held back before the next step. Chromium itself needs a few seconds to settle. */
export const PATIENCE = 6_000;

export class CpuRelief {
  private since: number | null = null;
  private taken = 0;

  /** `limited`: the browser says that the processor holds it back. Returns what to do now, if anything. */
  read(limited: boolean, now: number): Relief | null {
    if (!limited) {
      this.since = null;
      return null;
    }
    this.since ??= now;
    if (now - this.since < PATIENCE || this.taken >= 2) return null;
    this.since = now;
    this.taken += 1;
    return this.taken === 1 ? 'shed' : 'cheaper';
  }
}
