/** How fast bytes come and go between this page and its server: growing transfers until one takes long enough to tell. */
const SIZES = [64 << 10, 256 << 10, 1 << 20, 4 << 20];
const LONG_ENOUGH_MS = 700;
const WITHIN_MS = 15_000;

/** Bit/s; `more` when even the largest transfer was too short to tell how much more there is. */
export interface Speed {
  bitrate: number;
  more: boolean;
}

/** One transfer of so many bytes; resolves with the milliseconds it took. */
export type Transfer = (bytes: number, signal: AbortSignal) => Promise<number>;

/** Measures with transfers of growing size; null when not even the first one went through. */
export async function measure(transfer: Transfer, within = WITHIN_MS): Promise<Speed | null> {
  const signal = AbortSignal.timeout(within);
  let best: Speed | null = null;
  for (const size of SIZES) {
    let took: number;
    try {
      took = await transfer(size, signal);
    } catch {
      return best;
    }
    best = { bitrate: (size * 8 * 1000) / Math.max(1, took), more: took < LONG_ENOUGH_MS };
    if (!best.more) return best;
  }
  return best;
}

/** From the server to us. `check` is the path of the check's API. */
export const download =
  (check: string): Transfer =>
  async (bytes, signal) => {
    const began = performance.now();
    const response = await fetch(`${check}/download?bytes=${bytes}`, { signal, cache: 'no-store', credentials: 'same-origin' });
    if (!response.ok || !response.body) throw new Error('refused');
    let count = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      count += value.length;
    }
    if (count !== bytes) throw new Error('cut short');
    return performance.now() - began;
  };

/** From us to the server. */
export const upload =
  (check: string): Transfer =>
  async (bytes, signal) => {
    const noise = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(noise.subarray(at, Math.min(bytes, at + 65_536)));
    const body = new Blob([noise]); // Chromium takes twenty times as long to begin with an array.
    const began = performance.now();
    const response = await fetch(`${check}/upload`, { method: 'POST', body, signal, cache: 'no-store', credentials: 'same-origin' });
    if (!response.ok) throw new Error('refused');
    await response.json();
    return performance.now() - began;
  };
