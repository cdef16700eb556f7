/** The few figures of getStats that a person can use. */
export interface Sending {
  /** Bits per second since the last reading. */
  bitrate: number;
  width: number | null;
  height: number | null;
  framesPerSecond: number | null;
  codec: string | null;
  limitedBy: 'none' | 'cpu' | 'bandwidth' | 'other';
  /** Share of packets lost, 0 to 1, as the other side reports it. */
  loss: number | null;
  roundTripMs: number | null;
}

type Entry = Record<string, unknown> & { type: string; id: string; timestamp: number };

/** What holds the camera back, as the browser says: the worst of its encodings. */
export function limitation(report: Iterable<[string, unknown]>): Sending['limitedBy'] {
  const reasons = new Set<unknown>();
  for (const [, entry] of report as Iterable<[string, Entry]>) {
    if (entry.type === 'outbound-rtp' && entry.kind === 'video' && entry.active !== false) reasons.add(entry.qualityLimitationReason);
  }
  return (['cpu', 'bandwidth', 'other'] as const).find((reason) => reasons.has(reason)) ?? 'none';
}

/** Reads the video (or else the audio) we send from a report; `before` is the reading to compare with. */
export function sending(report: Iterable<[string, unknown]>, before: { bytes: number; at: number } | null): (Sending & { bytes: number; at: number }) | null {
  const entries = new Map([...report] as [string, Entry][]);
  const outbound = [...entries.values()].filter((entry) => entry.type === 'outbound-rtp');
  const best = outbound.find((entry) => entry.kind === 'video' && entry.active !== false && Number(entry.bytesSent) > 0) ?? outbound[0];
  if (!best) return null;
  const bytes = Number(best.bytesSent ?? 0);
  const seconds = before ? (best.timestamp - before.at) / 1000 : 0;
  const remote = [...entries.values()].find((entry) => entry.type === 'remote-inbound-rtp' && entry.localId === best.id);
  const codec = entries.get(String(best.codecId));
  const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
  return {
    bytes,
    at: best.timestamp,
    bitrate: before && seconds > 0 ? Math.max(0, ((bytes - before.bytes) * 8) / seconds) : 0,
    width: number(best.frameWidth),
    height: number(best.frameHeight),
    framesPerSecond: number(best.framesPerSecond),
    codec: codec ? String(codec.mimeType).split('/')[1]! : null,
    limitedBy: (best.qualityLimitationReason as Sending['limitedBy'] | undefined) ?? 'none',
    loss: number(remote?.fractionLost),
    roundTripMs: typeof remote?.roundTripTime === 'number' ? remote.roundTripTime * 1000 : null,
  };
}
