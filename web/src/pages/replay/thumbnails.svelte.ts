/** The seek bar's pictures (signaling/thumbnails.py): asked for when somebody first points there, a sheet at a time. */
import type { Timeline } from './timeline';

export const WIDTH = 160;
export const HEIGHT = 90;
const AGAIN_MS = 5000;

export interface Cue {
  /** Seconds of the recording. */
  start: number;
  sheet: string;
  x: number;
  y: number;
}

/** What a WebVTT file of thumbnails says: cues whose text is `SHEET#xywh=x,y,w,h`. */
export function cues(text: string): Cue[] {
  const found: Cue[] = [];
  for (const one of text.matchAll(/^(\d+):(\d\d):(\d\d\.\d{3}) --> .*\n([\w.-]+)#xywh=(\d+),(\d+),/gm)) {
    found.push({ start: Number(one[1]) * 3600 + Number(one[2]) * 60 + Number(one[3]), sheet: one[4]!, x: Number(one[5]), y: Number(one[6]) });
  }
  return found;
}

/** The cue of a time: the last that has begun, else the first. */
export function cueAt(all: readonly Cue[], time: number): Cue | null {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (all[middle]!.start <= time) low = middle + 1;
    else high = middle;
  }
  return all[Math.max(0, low - 1)] ?? null;
}

export class Thumbnails {
  private all = $state.raw<readonly Cue[]>([]);
  /** Addresses of sheets that came; of one that is on its way, or failed a moment ago, null. */
  private sheets = $state<Record<string, string | null>>({});
  private from: { base: string; headers: Record<string, string>; timeline: Timeline } | null = null;
  private asked = false;
  private over = new AbortController();

  /** Of which recording; null: there are none. Returns what ends it. */
  of(base: string | null, token: string | null, timeline: Timeline): () => void {
    this.over = new AbortController();
    this.asked = false;
    this.all = [];
    this.from = base === null ? null : { base: `${base}thumbnails/`, headers: token ? { authorization: `Bearer ${token}` } : {}, timeline };
    return () => {
      this.over.abort();
      this.from = null;
      for (const url of Object.values(this.sheets)) if (url) URL.revokeObjectURL(url);
      this.sheets = {};
    };
  }

  get there(): boolean {
    return this.all.length > 0;
  }

  /** Somebody points at the bar: now they are wanted. */
  open(): void {
    if (this.asked || !this.from) return;
    this.asked = true;
    const signal = this.over.signal;
    void this.fetch('index.vtt')
      .then((answer) => answer.text())
      .then((text) => signal.aborted || (this.all = cues(text)))
      .catch(() => setTimeout(() => (this.asked = signal.aborted), AGAIN_MS));
  }

  /** The picture at `time` of the page, once its sheet is here. */
  at(time: number): { url: string; x: number; y: number } | null {
    if (!this.from) return null;
    const cue = cueAt(this.all, this.from.timeline.toMedia(time) + 0.001);
    if (!cue) return null;
    const url = this.sheets[cue.sheet];
    if (url) return { url, x: cue.x, y: cue.y };
    if (url === undefined) queueMicrotask(() => this.load(cue.sheet));
    return null;
  }

  private load(name: string): void {
    if (!this.from || name in this.sheets) return;
    this.sheets[name] = null;
    const signal = this.over.signal;
    void this.fetch(name)
      .then((answer) => answer.blob())
      .then((blob) => signal.aborted || (this.sheets[name] = URL.createObjectURL(blob)))
      .catch(() => setTimeout(() => signal.aborted || delete this.sheets[name], AGAIN_MS));
  }

  private async fetch(name: string): Promise<Response> {
    const { base, headers } = this.from!;
    const answer = await fetch(base + name, { headers, credentials: 'same-origin', signal: this.over.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  }
}
