/** How the broadcast stands, while one looks at it. */
import type { Overview } from '../../client/protocol';
import { HEARD, remember } from './readiness';

export class Overseen {
  now = $state.raw<Overview | null>(null);
  /** How many watched, in the last ten minutes that one looked. */
  watchers = $state.raw<readonly number[]>([]);

  /** Who was heard while one looked. */
  heard = $state.raw<ReadonlySet<string>>(new Set());

  take(overview: Overview): void {
    this.now = overview;
    this.watchers = remember(this.watchers, overview.audience.reduce((sum, tier) => sum + tier.viewers, 0));
    const fresh = overview.seats.filter((seat) => seat.level >= HEARD && !this.heard.has(seat.participant));
    if (fresh.length > 0) this.heard = new Set([...this.heard, ...fresh.map((seat) => seat.participant)]);
  }
}
