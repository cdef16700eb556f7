/** How the programme comes, added up from one report to the next. Whoever runs the broadcast sees sums of all viewers. */

export interface Sample {
  tier: 'realtime' | 'hls';
  /** It plays, or would if something came; not while it is paused, looked for, or over. */
  watching: boolean;
  /** Nothing comes: the picture or the sound stands still. */
  stalled: boolean;
  /** Milliseconds behind the stage; null: not known, or one went back. */
  latencyMs: number | null;
}

export interface Report {
  tier: Sample['tier'];
  watchedMs: number;
  stalls: number;
  stalledMs: number;
  latencyMs: number | null;
}

/** Between two samples that lie further apart the page slept, and nobody knows. */
const SLEPT_MS = 3_000;

export class Viewing {
  private at: number | null = null;
  private last: Sample | null = null;
  private sum: Report | null = null;

  /** As it stands at a moment, in ms of any clock that only goes forward. */
  take(sample: Sample, now: number): void {
    const before = this.last;
    const passed = this.at === null ? 0 : now - this.at;
    [this.at, this.last] = [now, sample];
    if (!sample.watching) return;
    // On the other way it is another's report.
    if (this.sum?.tier !== sample.tier) this.sum = { tier: sample.tier, watchedMs: 0, stalls: 0, stalledMs: 0, latencyMs: null };
    if (sample.stalled && !(before?.watching && before.stalled)) this.sum.stalls += 1;
    if (sample.latencyMs !== null) this.sum.latencyMs = sample.latencyMs;
    if (!before?.watching || before.tier !== sample.tier || passed > SLEPT_MS) return;
    this.sum.watchedMs += passed;
    if (before.stalled) this.sum.stalledMs += passed;
  }

  /** Since the last one; null where nothing was watched. */
  report(): Report | null {
    const sum = this.sum;
    this.sum = null;
    if (!sum || sum.watchedMs <= 0) return null;
    const whole = (value: number, most: number) => Math.min(most, Math.max(0, Math.round(value)));
    return {
      tier: sum.tier,
      watchedMs: whole(sum.watchedMs, 600_000),
      stalls: whole(sum.stalls, 10_000),
      stalledMs: whole(Math.min(sum.stalledMs, sum.watchedMs), 600_000),
      latencyMs: sum.latencyMs === null ? null : whole(sum.latencyMs, 600_000),
    };
  }
}
