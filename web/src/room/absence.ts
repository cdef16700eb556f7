/** Who is out of the meeting for now: kept a place in it, but not one in sight of people who are there. */
import type { Person } from '../client/protocol';

/** Milliseconds after which a lost connection counts: most are back sooner, and tiles must not jump for that. */
export const PATIENCE = 5_000;

export class Absence {
  private readonly lost = new Map<string, number>();
  /** Ids. Whoever had lost the connection before we knew them is absent at once. */
  absent: ReadonlySet<string> = new Set();

  /** Looks at everybody; returns the milliseconds until it must look again, null when time alone changes nothing. */
  look(people: Iterable<Person>, now: number, known: (id: string) => boolean): number | null {
    const gone = [...people].filter((person) => !person.connected);
    const ids = new Set(gone.map((person) => person.id));
    for (const id of this.lost.keys()) if (!ids.has(id)) this.lost.delete(id);
    for (const id of ids) if (!this.lost.has(id)) this.lost.set(id, known(id) ? now : -Infinity);
    const waits = [...this.lost.values()].map((since) => since + PATIENCE - now);
    const absent = new Set([...this.lost].filter(([, since]) => now - since >= PATIENCE).map(([id]) => id));
    if (absent.size !== this.absent.size || [...absent].some((id) => !this.absent.has(id))) this.absent = absent;
    const next = Math.min(...waits.filter((wait) => wait > 0));
    return next === Infinity ? null : next;
  }
}
