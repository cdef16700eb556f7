/**
 * Two ways to watch: WebRTC as it happens, for as many as the server has room for, and HLS a few seconds later for
 * everybody, and for whoever goes back. The first is tried at once; the second is there when it is not, and while it is not.
 */
import { Programme, type Trouble } from './programme.svelte';
import { Realtime, wait, type Miss } from './realtime';
import type { Sample } from './viewing';

/** HLS begins when WebRTC has shown nothing for so long. */
const PATIENCE_MS = 2_500;

/** What it plays, as it stands now. */
export interface Source {
  playlist: string;
  whep: string | null;
  /** Wall clock in ms at the programme's time 0, and when it went live. */
  epoch: number;
  at: number;
  /** To be added to this computer's clock to have the server's. */
  skew: number;
  /** Stands for the cookie inside another site's page. */
  token: string | null;
}

export class Player {
  tier = $state<'realtime' | 'hls'>('hls');
  readonly hls = new Programme();
  private started = $state(false);
  private over = $state(false);
  private near: HTMLVideoElement | null = null;
  private far: HTMLVideoElement | null = null;
  private source: Source | null = null;
  private session: Realtime | null = null;
  private detach: (() => void) | null = null;
  private again: ReturnType<typeof setTimeout> | undefined;
  private misses = 0;
  /** The language whose interpreters are heard, by HLS only; null: the original. */
  private sound: string | null = null;
  /** Whether what happens now is wanted; false for who went back, or paused. */
  private following = true;
  private nearPlaying = $state(false);
  private nearMuted = $state(false);
  private nearVolume = $state(1);
  private nearHushed = $state(false);
  private clock = $state(Date.now());
  /** The picture of whoever signs, by WebRTC. */
  signer = $state.raw<MediaStream | null>(null);

  readonly realtime = $derived(this.tier === 'realtime');
  readonly trouble: Trouble | null = $derived(this.realtime ? null : this.hls.trouble);
  readonly waiting = $derived(this.realtime ? false : this.started || this.session ? this.hls.waiting : true);
  readonly ended = $derived(this.over || (!this.realtime && this.hls.ended));
  readonly playing = $derived(this.realtime ? this.nearPlaying : this.hls.playing);
  readonly hushed = $derived(this.realtime ? this.nearHushed : this.hls.hushed);
  readonly muted = $derived(this.realtime ? this.nearMuted : this.hls.muted);
  readonly volume = $derived(this.realtime ? this.nearVolume : this.hls.volume);
  readonly live = $derived(this.realtime || this.hls.live);
  readonly from = $derived(this.realtime ? 0 : this.hls.from);
  readonly to = $derived(this.realtime ? this.clock : this.hls.to);
  readonly time = $derived(this.realtime ? this.clock : this.hls.time);
  readonly latency = $derived(this.realtime ? null : this.hls.latency);

  /** Starts; returns what ends it. `near` shows WebRTC, `far` HLS. */
  attach(near: HTMLVideoElement, far: HTMLVideoElement, source: Source): () => void {
    [this.near, this.far, this.source] = [near, far, source];
    const events = new AbortController();
    const on = (name: keyof HTMLMediaElementEventMap, run: () => void) => near.addEventListener(name, run, { signal: events.signal });
    on('playing', () => ((this.nearPlaying = true), this.session?.shown()));
    on('pause', () => (this.nearPlaying = false));
    on('loadedmetadata', () => void this.play());
    on('volumechange', () => {
      [this.nearMuted, this.nearVolume] = [near.muted, near.volume];
      if (!near.muted) this.nearHushed = false;
    });
    const ticking = setInterval(() => (this.clock = Math.max(0, (Date.now() + source.skew - source.at) / 1000)), 500);
    if (this.possible) this.tryRealtime(PATIENCE_MS);
    else this.startHls();
    return () => {
      events.abort();
      clearInterval(ticking);
      clearTimeout(this.again);
      this.session?.close();
      this.detach?.();
      this.session = this.detach = this.near = this.far = null;
      this.started = false;
    };
  }

  /** Where WebRTC can be had by now; null: nowhere any more. `over`: nothing more comes. */
  offer(whep: string | null, over: boolean): void {
    if (!this.source || this.source.whep === whep) return;
    this.source.whep = whep;
    if (whep) return this.tryRealtime();
    if (!this.session) return;
    this.session.close();
    this.session = null;
    // Whoever saw it as it happened has seen all of it.
    if (over && this.realtime) this.over = true;
    else this.startHls();
  }

  /** Hear interpreters into a language, or with null the original. */
  hear(language: string | null): void {
    if (this.sound === language) return;
    this.sound = language;
    this.hls.hear(language);
    if (!this.source) return;
    if (language === null) return this.tryRealtime();
    this.session?.close();
    this.session = null;
    clearTimeout(this.again);
    this.startHls();
  }

  private get possible(): boolean {
    return this.sound === null && this.source?.whep != null && 'RTCPeerConnection' in window;
  }

  private tryRealtime(patience = 0): void {
    clearTimeout(this.again);
    if (!this.possible || !this.near || this.session || !this.following) return;
    this.near.muted = this.far!.muted;
    this.near.volume = this.far!.volume;
    this.session = new Realtime(this.near, this.source!.whep!, this.source!.token, () => this.arrived(), (miss, after) => this.missed(miss, after), (stream) => (this.signer = stream));
    if (patience) this.again = setTimeout(() => this.tier === 'hls' && this.startHls(), patience);
  }

  private arrived(): void {
    clearTimeout(this.again);
    if (this.detach && this.near && this.far) {
      [this.near.muted, this.near.volume] = [this.far.muted, this.far.volume];
      this.nearHushed = this.hls.hushed;
    }
    this.misses = 0;
    this.tier = 'realtime';
    this.detach?.();
    this.detach = null;
    this.started = false;
  }

  private missed(miss: Miss, retryAfter: number): void {
    this.session = null;
    this.startHls();
    const pause = wait(miss, this.misses++, retryAfter, Math.random());
    clearTimeout(this.again);
    if (pause !== null) this.again = setTimeout(() => this.tryRealtime(), pause);
  }

  /** On by HLS, `behind` seconds before what happens now. */
  private startHls(behind = 0): void {
    if (!this.far || !this.source) return;
    if (this.tier === 'realtime') {
      this.far.muted = this.near!.muted;
      this.far.volume = this.near!.volume;
    }
    this.tier = 'hls';
    if (this.detach) return;
    this.started = true;
    this.detach = this.hls.attach(this.far, this.source.playlist, this.source.epoch, behind, this.source.token);
  }

  private back(behind: number): void {
    this.following = false;
    clearTimeout(this.again);
    this.session?.close();
    this.session = null;
    this.startHls(behind);
  }

  // --- what a viewer does ---

  /** Milliseconds of the programme that are seen now; null while nothing is. */
  now(): number | null {
    if (!this.realtime) return this.hls.now();
    return Date.now() + this.source!.skew - this.source!.epoch;
  }

  /** How it comes at this moment. */
  sample(): Sample {
    if (this.realtime) {
      const { stalled = false, latencyMs = null } = this.session ?? {};
      return { tier: 'realtime', watching: this.nearPlaying && !this.over, stalled, latencyMs };
    }
    const shown = this.hls.now();
    const behind = shown === null || !this.source ? null : Date.now() + this.source.skew - this.source.epoch - shown;
    return { tier: 'hls', watching: this.hls.wanted, stalled: this.hls.stalled, latencyMs: this.following ? behind : null };
  }

  async play(): Promise<void> {
    const near = this.near;
    if (!near || !this.session) return this.hls.play();
    try {
      await near.play();
    } catch (reason) {
      if ((reason as DOMException).name !== 'NotAllowedError') return;
      near.muted = this.nearHushed = true;
      await near.play().catch(() => undefined);
    }
  }

  toggle(): void {
    if (!this.realtime) {
      if (this.hls.playing) this.following = false;
      return this.hls.toggle();
    }
    if (this.near?.paused) void this.play();
    else this.near?.pause();
  }

  seek(time: number): void {
    if (!this.realtime) {
      this.following = this.to - time < 2;
      return this.hls.seek(time);
    }
    if (this.to - time >= 2) this.back(this.to - time);
  }

  /** On to what happens now. */
  catchUp(): void {
    this.following = true;
    if (this.realtime) return void this.play();
    this.hls.catchUp();
    this.tryRealtime();
  }

  load(): void {
    void this.hls.load();
    this.tryRealtime();
  }

  setMuted(muted: boolean): void {
    if (this.realtime) this.near!.muted = muted;
    else this.hls.setMuted(muted);
  }

  setVolume(volume: number): void {
    if (!this.realtime) return this.hls.setVolume(volume);
    this.near!.volume = volume;
    this.near!.muted = volume === 0;
  }
}
