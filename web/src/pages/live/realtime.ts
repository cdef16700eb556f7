/** Watching by WebRTC: one WHEP session, from the offer to its end. */

/** Why there is none: no room for more, not to be had here, or it broke. */
export type Miss = 'full' | 'refused' | 'failed';

const ANSWER_MS = 8_000;
/** So long the first picture or sound may take; then the other way is better. */
const PICTURE_MS = 6_000;
/** The mix never pauses: so long without any of it means that nothing comes. */
const SILENCE_MS = 4_000;
const LOOK_MS = 1_000;

/** Milliseconds until the next try, the `count`th after one that worked; null: there is no use in it. `dice` from 0 to 1. */
export function wait(miss: Miss, count: number, retryAfter: number, dice: number): number | null {
  if (miss === 'refused') return null;
  if (miss === 'full') return Math.max(5_000, retryAfter * 1000) * (1 + dice);
  return Math.min(60_000, 2_000 * 2 ** Math.min(count, 6)) * (1 + dice / 2);
}

/** `onplay` once it is seen or heard, `onend` once it is over, with how many seconds the server wants to be left alone. */
export class Realtime {
  private readonly peer = new RTCPeerConnection();
  private readonly stop = new AbortController();
  private readonly stream = new MediaStream();
  private session = '';
  private playing = false;
  private over = false;
  private bytes = 0;
  private heard = performance.now();
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
    private readonly token: string | null,
    private readonly onplay: () => void,
    private readonly onend: (miss: Miss, retryAfter: number) => void,
  ) {
    for (const kind of ['video', 'audio']) this.peer.addTransceiver(kind, { direction: 'recvonly' });
    this.peer.addEventListener('track', ({ track }) => this.stream.addTrack(track));
    this.peer.addEventListener('connectionstatechange', () => {
      if (['failed', 'closed', 'disconnected'].includes(this.peer.connectionState)) this.end('failed');
    });
    this.timer = setInterval(() => void this.look(), LOOK_MS);
    void this.start().catch(() => this.end('failed'));
  }

  private async start(): Promise<void> {
    await this.peer.setLocalDescription();
    const late = setTimeout(() => this.stop.abort(), ANSWER_MS);
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', ...(this.token ? { authorization: `Bearer ${this.token}` } : {}) },
      body: this.peer.localDescription!.sdp,
      credentials: 'same-origin',
      signal: this.stop.signal,
    });
    clearTimeout(late);
    if (!response.ok) {
      const again = Number(response.headers.get('retry-after')) || 0;
      return this.end(response.status === 503 ? 'full' : response.status === 422 ? 'refused' : 'failed', again);
    }
    this.session = response.headers.get('location') ?? '';
    const sdp = await response.text();
    if (this.over) return this.leave();
    await this.peer.setRemoteDescription({ type: 'answer', sdp });
    this.video.srcObject = this.stream;
  }

  private async look(): Promise<void> {
    const now = performance.now();
    if (!this.playing && now - this.heard > PICTURE_MS) return this.end('failed');
    let bytes = 0;
    for (const report of (await this.peer.getStats()).values()) {
      if (report.type === 'inbound-rtp') bytes += report.bytesReceived as number;
    }
    if (this.over) return;
    if (bytes > this.bytes) {
      [this.bytes, this.heard] = [bytes, now];
    } else if (this.playing && now - this.heard > SILENCE_MS) this.end('failed');
  }

  /** The page shows it from now on. */
  shown(): void {
    if (this.playing || this.over) return;
    this.playing = true;
    this.onplay();
  }

  private end(miss: Miss, retryAfter = 0): void {
    if (this.over) return;
    this.close();
    this.onend(miss, retryAfter);
  }

  private leave(): void {
    if (this.session) void fetch(this.session, { method: 'DELETE', credentials: 'same-origin', keepalive: true }).catch(() => undefined);
  }

  /** Ends it; nothing more is told. */
  close(): void {
    if (this.over) return;
    this.over = true;
    clearInterval(this.timer);
    this.stop.abort();
    this.leave();
    this.peer.close();
    if (this.video.srcObject === this.stream) this.video.srcObject = null;
  }
}
