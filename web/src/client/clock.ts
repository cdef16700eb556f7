/** The room's clock as seen from here: the offset of the exchange with the shortest round trip among the last few. */
export class RoomClock {
  private samples: { roundTrip: number; offset: number }[] = [];

  /** Takes one exchange, all in milliseconds: sent and received by the local clock, `room` read by the server in between. */
  sample(sent: number, received: number, room: number): void {
    const roundTrip = received - sent;
    if (!(roundTrip >= 0) || !Number.isFinite(room)) return;
    this.samples.push({ roundTrip, offset: room + roundTrip / 2 - received });
    if (this.samples.length > 8) this.samples.shift();
  }

  /** Forgets what it knew: a server that started again has another clock. */
  reset(): void {
    this.samples = [];
  }

  /** Room time at local time `local`; null before the first exchange. */
  at(local: number): number | null {
    let best: { roundTrip: number; offset: number } | undefined;
    for (const sample of this.samples) if (!best || sample.roundTrip < best.roundTrip) best = sample;
    return best ? local + best.offset : null;
  }
}
