/** Watching by WebRTC: one WHEP session, from the offer to its end. */

/** Why there is none: no room for more, not to be had here, or it broke. */
export type Miss = 'full' | 'refused' | 'failed';

const ANSWER_MS = 8_000;
/** So long the first picture or sound may take; then the other way is better. */
const PICTURE_MS = 6_000;
/** The mix never pauses: so long without any of it means that nothing comes. */
const SILENCE_MS = 4_000;
const LOOK_MS = 500;
/** So much of the sound may be made up from one look to the next before it counts as standing still. */
const GAP_S = 0.2;
const RATE = 48_000;

interface Inbound {
  type: string;
  kind?: string;
  bytesReceived: number;
  concealedSamples?: number;
  jitterBufferDelay?: number;
  jitterBufferEmittedCount?: number;
  nominated?: boolean;
  currentRoundTripTime?: number;
}

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
  private concealed = 0;
  private delayed = { delay: 0, count: 0 };
  /** No sound came for a part of the time since the last look: the mix never pauses, a picture may. */
  stalled = false;
  /** How long the sound is on its way, in ms: half a round trip, and what waits here; null while not known. */
  latencyMs: number | null = null;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
    private readonly token: string | null,
    private readonly onplay: () => void,
    private readonly onend: (miss: Miss, retryAfter: number) => void,
    /** Is given the picture of whoever signs: it may stay dark. */
    private readonly onsigner: (stream: MediaStream) => void = () => {},
  ) {
    for (const kind of ['video', 'audio', 'video']) this.peer.addTransceiver(kind, { direction: 'recvonly' });
    this.peer.addEventListener('track', ({ track, transceiver }) => {
      // The third of what was asked for; a server that knows no second picture refuses it.
      if (transceiver === this.peer.getTransceivers()[2]) this.onsigner(new MediaStream([track]));
      else this.stream.addTrack(track);
    });
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
    let trip = 0;
    let sound: Inbound | null = null;
    for (const report of (await this.peer.getStats()).values() as Iterable<Inbound>) {
      if (report.type === 'inbound-rtp') bytes += report.bytesReceived;
      if (report.type === 'inbound-rtp' && report.kind === 'audio') sound = report;
      if (report.type === 'candidate-pair' && report.nominated) trip = report.currentRoundTripTime ?? 0;
    }
    if (this.over) return;
    if (sound) this.judge(sound, trip);
    if (bytes > this.bytes) {
      [this.bytes, this.heard] = [bytes, now];
    } else if (this.playing && now - this.heard > SILENCE_MS) this.end('failed');
  }

  private judge(sound: Inbound, trip: number): void {
    const concealed = sound.concealedSamples ?? 0;
    this.stalled = this.playing && concealed - this.concealed > GAP_S * RATE;
    this.concealed = concealed;
    const [delay, count] = [sound.jitterBufferDelay ?? 0, sound.jitterBufferEmittedCount ?? 0];
    const emitted = count - this.delayed.count;
    if (emitted > 0) this.latencyMs = ((delay - this.delayed.delay) / emitted + trip / 2) * 1000;
    this.delayed = { delay, count };
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
