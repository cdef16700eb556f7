/** Playing a live programme: hls.js in low latency, back to the first moment if wanted, and on at the live edge. */
import type HlsType from 'hls.js';
import type { HlsConfig } from 'hls.js';

export type Trouble = 'network' | 'media' | 'unsupported';

/** No worker: it would need a blob: script. Captions come as events, so the player's own text tracks stay off. */
const CONFIG: Partial<HlsConfig> = {
  enableWorker: false,
  lowLatencyMode: true,
  backBufferLength: 60,
  maxBufferLength: 20,
  maxLiveSyncPlaybackRate: 1.05,
  enableWebVTT: false,
  enableCEA708Captions: false,
  enableIMSC1: false,
  renderTextTracksNatively: false,
};
/** Seconds behind the edge that still are live. */
const LIVE_WITHIN = 8;
const AGAIN_MS = 3000;
/** Of a programme that is over so many seconds are shown to who was there until now, not all of it. */
const OVER = 3;

export class Programme {
  /** Seconds of the player's own time, and where it can go. */
  time = $state(0);
  from = $state(0);
  to = $state(0);
  playing = $state(false);
  waiting = $state(true);
  ended = $state(false);
  muted = $state(false);
  volume = $state(1);
  /** It plays without sound because the browser wants a click first. */
  hushed = $state(false);
  trouble = $state<Trouble | null>(null);
  /** Seconds between the stage and this screen; null while not known. */
  latency = $state<number | null>(null);
  readonly live = $derived(this.to - this.time < LIVE_WITHIN);

  private video: HTMLVideoElement | null = null;
  private hls: HlsType | null = null;
  private url = '';
  private epoch = 0;
  private repaired = 0;
  private following = true;
  private jumped = 0;
  /** Seconds before the end at which to begin, once that is known. */
  private behind: number | null = null;
  private token: string | null = null;
  /** The language whose interpreters are to be heard; null: the original. */
  private sound: string | null = null;
  private again: ReturnType<typeof setTimeout> | undefined;

  /**
   * Starts, `behind` seconds before what happens now; returns what ends it. `epoch`: the wall clock in ms at the
   * programme's time 0.
   */
  attach(video: HTMLVideoElement, url: string, epoch: number, behind = 0, token: string | null = null): () => void {
    [this.video, this.url, this.epoch, this.behind, this.token] = [video, url, epoch, behind, token];
    [this.following, this.waiting, this.trouble] = [behind < 2, true, null];
    const events = new AbortController();
    const on = (name: keyof HTMLMediaElementEventMap, run: () => void) => video.addEventListener(name, run, { signal: events.signal });
    on('playing', () => ((this.playing = true), (this.waiting = false)));
    on('pause', () => (this.playing = false));
    on('waiting', () => (this.waiting = true));
    on('canplay', () => (this.waiting = false));
    on('ended', () => ((this.ended = true), (this.playing = false)));
    on('volumechange', () => {
      this.muted = video.muted;
      this.volume = video.volume;
      if (!video.muted) this.hushed = false;
    });
    for (const name of ['timeupdate', 'progress', 'seeked'] as const) on(name, () => this.look());
    void this.load();
    return () => {
      events.abort();
      clearTimeout(this.again);
      this.hls?.destroy();
      this.hls = this.video = null;
      this.playing = false;
      this.latency = null;
    };
  }

  /** Loads, or loads again after trouble. */
  async load(): Promise<void> {
    const video = this.video;
    if (!video) return;
    clearTimeout(this.again);
    this.hls?.destroy();
    this.hls = null;
    let Hls: typeof HlsType;
    try {
      Hls = (await import('hls.js')).default;
    } catch {
      return this.later();
    }
    if (this.video !== video) return;
    if (!Hls.isSupported()) {
      if (video.canPlayType('application/vnd.apple.mpegurl')) {
        video.src = this.url;
        void this.play();
      } else this.trouble = 'unsupported';
      return;
    }
    const token = this.token;
    const xhrSetup = token ? (asked: XMLHttpRequest) => asked.setRequestHeader('Authorization', `Bearer ${token}`) : undefined;
    const hls = new Hls({ ...CONFIG, xhrSetup });
    this.hls = hls;
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      const now = performance.now();
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && now - this.repaired > 5000) {
        this.repaired = now;
        hls.recoverMediaError();
        return;
      }
      this.trouble = data.type === Hls.ErrorTypes.NETWORK_ERROR ? 'network' : 'media';
      this.later();
    });
    hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => this.listen());
    hls.on(Hls.Events.FRAG_BUFFERED, () => (this.trouble = null));
    hls.on(Hls.Events.MANIFEST_PARSED, () => void this.play());
    hls.loadSource(this.url);
    hls.attachMedia(video);
  }

  /** Hear interpreters into a language, or with null the original. */
  hear(language: string | null): void {
    this.sound = language;
    if (!this.hls?.audioTracks.length || this.listen()) return;
    // It began after the playlist was read.
    if (!this.live) this.behind = this.to - this.time;
    void this.load();
  }

  /** Whether what is wanted is there. */
  private listen(): boolean {
    const { hls } = this;
    if (!hls) return false;
    const wanted = hls.audioTracks.findIndex((track) => (track.lang ?? null) === this.sound);
    const chosen = wanted >= 0 ? wanted : hls.audioTracks.findIndex((track) => track.default);
    if (chosen >= 0 && hls.audioTrack !== chosen) hls.audioTrack = chosen;
    return wanted >= 0;
  }

  private later(): void {
    this.trouble ??= 'network';
    clearTimeout(this.again);
    this.again = setTimeout(() => void this.load(), AGAIN_MS);
  }

  private look(): void {
    const { video, hls } = this;
    if (!video) return;
    this.time = video.currentTime;
    const seekable = video.seekable;
    if (seekable.length) {
      this.from = seekable.start(0);
      this.to = hls?.liveSyncPosition ?? seekable.end(seekable.length - 1);
      if (this.behind !== null && this.to > 0) {
        const behind = hls?.latestLevelDetails?.live === false ? Math.max(this.behind, OVER) : this.behind;
        this.behind = null;
        if (behind >= 2) return this.seek(this.to - behind);
      }
    }
    const shown = hls?.playingDate;
    // Who did not go back themselves is not left behind by a network that stood still.
    const now = performance.now();
    if (this.following && !video.paused && !video.seeking && this.to - this.time > LIVE_WITHIN && now - this.jumped > AGAIN_MS * 2) {
      this.jumped = now;
      this.catchUp();
    }
    this.latency = shown ? Math.max(0, (Date.now() - shown.getTime()) / 1000) : null;
  }

  /** Milliseconds of the programme that are seen now; null while nothing is. */
  now(): number | null {
    const shown = this.hls?.playingDate;
    return shown ? shown.getTime() - this.epoch : null;
  }

  /** It plays, or would if something came. */
  get wanted(): boolean {
    const { video } = this;
    // Before the first picture it is not there yet; that is no stall.
    return video !== null && !video.paused && !video.ended && !video.seeking && video.played.length > 0;
  }

  /** Nothing comes. */
  get stalled(): boolean {
    return (this.video?.readyState ?? 0) < HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  /** Plays, without sound if the browser wants that. */
  async play(): Promise<void> {
    const video = this.video;
    if (!video) return;
    try {
      await video.play();
    } catch (reason) {
      if ((reason as DOMException).name !== 'NotAllowedError') return;
      video.muted = this.hushed = true;
      await video.play().catch(() => undefined);
    }
  }

  toggle(): void {
    if (this.video?.paused) return void this.play();
    this.following = false;
    this.video?.pause();
  }

  seek(time: number): void {
    this.following = this.to - time < 2;
    if (this.video) this.video.currentTime = Math.max(this.from, Math.min(time, this.to));
    this.look();
  }

  /** On to what happens now. */
  catchUp(): void {
    if (!this.video) return;
    this.following = true;
    this.video.currentTime = this.hls?.liveSyncPosition ?? this.to;
    void this.play();
  }

  setMuted(muted: boolean): void {
    if (!this.video) return;
    this.video.muted = muted;
    if (!muted && this.video.volume === 0) this.video.volume = 0.5;
  }

  setVolume(volume: number): void {
    if (!this.video) return;
    this.video.volume = Math.max(0, Math.min(1, volume));
    this.video.muted = volume <= 0;
  }
}
