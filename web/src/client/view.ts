/** What the page shows of each video track, told to the server so that nothing is sent that nobody sees. No element is known here. */
import type { Tile } from './protocol';

/** Milliseconds that changes are gathered; what disappears may be back in a moment and waits longer. */
const GATHER = 80;
const LINGER = 1_200;
/** Pictures that just came back need a moment before their stillness means anything. */
const SETTLE = 4_000;
/** Beyond this no screen shows more, and the server takes no more. */
const LARGEST = 16_384;

export interface Shown {
  /** In device pixels. */
  width: number;
  height: number;
  visible: boolean;
  pinned: boolean;
}

export class View {
  private readonly shown = new Map<string, Shown>();
  private readonly disturbed = new Map<string, number>();
  private tracks: readonly string[] = [];
  private hidden = false;
  private told = '';
  private timer: ReturnType<typeof setTimeout> | null = null;
  private due = Infinity;
  private closed = false;

  constructor(
    private readonly tell: (tiles: Tile[]) => boolean,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** A tile says how it shows a track; null when it shows it no more. */
  show(track: string, how: Shown | null): void {
    const before = this.shown.get(track);
    if (how) this.shown.set(track, how);
    else this.shown.delete(track);
    if (!how?.visible) this.disturbed.set(track, Infinity);
    else if (!before?.visible) this.disturbed.set(track, this.now());
    this.soon(how?.visible ? GATHER : LINGER);
  }

  /** The video tracks that the server offers; those without a tile are not seen. */
  offered(tracks: readonly string[]): void {
    this.tracks = tracks;
    for (const track of this.disturbed.keys()) if (!tracks.includes(track) && !this.shown.has(track)) this.disturbed.delete(track);
    this.soon(GATHER);
  }

  /** The whole page is out of sight, or back. */
  hide(hidden: boolean): void {
    if (hidden === this.hidden) return;
    this.hidden = hidden;
    if (!hidden) for (const track of this.shown.keys()) this.interrupted(track);
    this.soon(hidden ? LINGER : 0);
  }

  /** A track stopped for a reason of its own: its publisher muted it. */
  interrupted(track: string): void {
    if (this.disturbed.get(track) !== Infinity) this.disturbed.set(track, this.now());
  }

  /** Whether a track has been on screen without interruption for a while, so that a picture that stands still is a fault. */
  watched(track: string): boolean {
    return !this.hidden && (this.shown.get(track)?.visible ?? false) && this.now() - (this.disturbed.get(track) ?? -Infinity) >= SETTLE;
  }

  /** The server has forgotten: tell it all again. */
  resend(): void {
    this.told = '';
    this.soon(0);
  }

  close(): void {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private soon(wait: number): void {
    const due = this.now() + wait;
    if (this.closed || (this.timer !== null && due >= this.due)) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.send();
    }, wait);
  }

  private send(): void {
    const whole = (pixels: number) => Math.min(LARGEST, Math.max(0, Math.round(pixels)));
    const tiles = this.tracks.map((track): Tile => {
      const how = this.shown.get(track);
      const visible = !this.hidden && (how?.visible ?? false);
      return { track, width: whole(how?.width ?? 0), height: whole(how?.height ?? 0), visible, pinned: how?.pinned ?? false };
    });
    const said = JSON.stringify(tiles);
    if (said !== this.told && this.tell(tiles)) this.told = said;
  }
}
