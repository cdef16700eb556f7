/** How well the others come in, by the browser's own statistics, from one reading to the next. */
type Entry = Record<string, unknown> & { type: string; id: string };

export interface Received {
  freezes: number;
  frozenMs: number;
  /** Share of the sound that had to be made up, 0 to 1. */
  concealed: number;
  /** Share of packets lost, 0 to 1. */
  loss: number;
  jitterMs: number;
  roundTripMs: number | null;
}

interface Totals {
  freezes: number;
  frozen: number;
  concealed: number;
  samples: number;
  lost: number;
  packets: number;
}

const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const share = (part: number, whole: number): number => (whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0);

export class Reception {
  private before = new Map<string, Totals>();
  private steady = new Set<string>();

  /** `watched`: whether a camera has been in sight long enough that a picture which stands still is a fault. */
  constructor(private readonly watched: (track: string) => boolean) {}

  /** `cameras`: the media track's id to the track's. Null on the first reading, as there is nothing to compare with. */
  read(report: Iterable<[string, unknown]>, cameras: ReadonlyMap<string, string>): Received | null {
    const first = this.before.size === 0;
    const next = new Map<string, Totals>();
    const steady = new Set<string>();
    const sum = { freezes: 0, frozen: 0, concealed: 0, samples: 0, lost: 0, packets: 0 };
    let jitter = 0;
    let trip: number | null = null;
    for (const [id, entry] of report as Iterable<[string, Entry]>) {
      if (entry.type === 'candidate-pair' && entry.nominated && typeof entry.currentRoundTripTime === 'number') trip = entry.currentRoundTripTime * 1000;
      if (entry.type !== 'inbound-rtp') continue;
      const now: Totals = {
        freezes: number(entry.freezeCount),
        frozen: number(entry.totalFreezesDuration),
        // Silence that was announced is no loss.
        concealed: number(entry.concealedSamples) - number(entry.silentConcealedSamples),
        samples: number(entry.totalSamplesReceived),
        lost: number(entry.packetsLost),
        packets: number(entry.packetsReceived),
      };
      next.set(id, now);
      const before = this.before.get(id);
      if (!before) continue;
      if (now.packets > before.packets) jitter = Math.max(jitter, number(entry.jitter) * 1000);
      const camera = cameras.get(String(entry.trackIdentifier));
      if (camera !== undefined && this.watched(camera)) {
        steady.add(id);
        // In sight over the whole time between the readings.
        if (this.steady.has(id)) {
          sum.freezes += Math.max(0, now.freezes - before.freezes);
          sum.frozen += Math.max(0, now.frozen - before.frozen);
        }
      }
      sum.concealed += Math.max(0, now.concealed - before.concealed);
      sum.samples += Math.max(0, now.samples - before.samples);
      sum.lost += Math.max(0, now.lost - before.lost);
      sum.packets += Math.max(0, now.packets - before.packets);
    }
    this.before = next;
    this.steady = steady;
    if (first) return null;
    return {
      freezes: Math.min(10_000, sum.freezes),
      frozenMs: Math.min(600_000, Math.round(sum.frozen * 1000)),
      concealed: share(sum.concealed, sum.samples),
      loss: share(sum.lost, sum.lost + sum.packets),
      jitterMs: Math.min(600_000, Math.round(jitter)),
      roundTripMs: trip === null ? null : Math.min(600_000, Math.round(trip)),
    };
  }
}
