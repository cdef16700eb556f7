import { describe, expect, it } from 'vitest';
import { Viewing, type Sample } from './viewing';

const sample = (more: Partial<Sample> = {}): Sample => ({ tier: 'hls', watching: true, stalled: false, latencyMs: 2000, ...more });

describe('how the programme comes', () => {
  it('adds up what was watched and how much of it stood still', () => {
    const viewing = new Viewing();
    viewing.take(sample(), 0);
    viewing.take(sample({ stalled: true }), 1000);
    viewing.take(sample({ stalled: true }), 1500);
    viewing.take(sample({ latencyMs: 2400 }), 1800);
    viewing.take(sample({ stalled: true, latencyMs: null }), 2800);
    expect(viewing.report()).toEqual({ tier: 'hls', watchedMs: 2800, stalls: 2, stalledMs: 800, latencyMs: 2400 });
    // What goes on to stand still is no new stall.
    viewing.take(sample({ stalled: true }), 3800);
    expect(viewing.report()).toEqual({ tier: 'hls', watchedMs: 1000, stalls: 0, stalledMs: 1000, latencyMs: 2000 });
  });
  it('counts no pause, and no time in which the page slept', () => {
    const viewing = new Viewing();
    viewing.take(sample({ watching: false }), 0);
    expect(viewing.report()).toBeNull();
    viewing.take(sample(), 1000);
    viewing.take(sample(), 61_000);
    viewing.take(sample(), 61_250);
    viewing.take(sample({ watching: false, stalled: true }), 62_000);
    viewing.take(sample({ watching: false, stalled: true }), 63_000);
    expect(viewing.report()).toEqual({ tier: 'hls', watchedMs: 250, stalls: 0, stalledMs: 0, latencyMs: 2000 });
  });
  it('begins anew on the other way', () => {
    const viewing = new Viewing();
    viewing.take(sample(), 0);
    viewing.take(sample(), 1000);
    viewing.take(sample({ tier: 'realtime', latencyMs: 80 }), 1250);
    viewing.take(sample({ tier: 'realtime', latencyMs: 81.4 }), 1500);
    expect(viewing.report()).toEqual({ tier: 'realtime', watchedMs: 250, stalls: 0, stalledMs: 0, latencyMs: 81 });
  });
});
