/** Playing a recording: hls.js on a `<video>`, and what the controls need to know of it. */
import type HlsType from 'hls.js';
import type { ErrorData, HlsConfig } from 'hls.js';
import { Timeline } from './timeline';

export type Trouble = 'network' | 'access' | 'media' | 'unsupported';
export const RATES = [0.75, 1, 1.25, 1.5, 1.75, 2] as const;

/** Playlists are short and whole; media comes in small parts from a near server. No worker: it would need a blob: script. */
export const CONFIG: Partial<HlsConfig> = {
  enableWorker: false,
  lowLatencyMode: false,
  maxBufferLength: 30,
  maxMaxBufferLength: 60,
  backBufferLength: 60,
  enableWebVTT: false,
  enableCEA708Captions: false,
  enableIMSC1: false,
  renderTextTracksNatively: false,
};

/** What to play: `duration` in seconds of the page's time. `token` opens it where there are no cookies. */
export interface Source {
  url: string;
  duration: number;
  timeline: Timeline;
  token: string | null;
  /** Played where `url` cannot be: Firefox plays no sound alone on a machine without a sound card, but sound with a picture. */
  instead?: string;
}

export class Player {
  time = $state(0);
  playing = $state(false);
  waiting = $state(false);
  ended = $state(false);
  started = $state(false);
  rate = $state(1);
  volume = $state(1);
  muted = $state(false);
  buffered = $state(0);
  aspect = $state(16 / 9);
  trouble = $state<Trouble | null>(null);
  /** Seconds; the manifest's until the media says its own. */
  duration = $state(0);

  /** The language that is to be heard, where there is such a rendition; null: the original. */
  private sound: string | null = null;
  private video: HTMLVideoElement | null = null;
  private hls: HlsType | null = null;
  private repairs = 0;
  private repairedAt = 0;
  private frame = 0;
  private source: Source = { url: '', duration: 0, timeline: new Timeline([]), token: null };

  /** Starts with the element; returns what ends it. */
  attach(video: HTMLVideoElement, source: Source): () => void {
    this.video = video;
    this.source = source;
    this.duration = source.duration;
    const events = new AbortController();
    const on = (name: keyof HTMLMediaElementEventMap, run: () => void) => video.addEventListener(name, run, { signal: events.signal });
    on('play', () => {
      this.playing = this.started = true;
      this.ended = false;
      this.tick();
    });
    on('pause', () => (this.playing = false));
    on('ended', () => {
      this.ended = true;
      this.playing = false;
    });
    on('waiting', () => (this.waiting = true));
    for (const name of ['playing', 'canplay', 'seeked'] as const) on(name, () => (this.waiting = false));
    for (const name of ['seeking', 'timeupdate', 'seeked'] as const) on(name, () => this.look());
    on('progress', () => (this.buffered = source.timeline.toPage(bufferedTo(video))));
    on('ratechange', () => (this.rate = video.playbackRate));
    on('volumechange', () => {
      this.volume = video.volume;
      this.muted = video.muted;
    });
    on('durationchange', () => {
      if (source.timeline.length === null && Number.isFinite(video.duration) && video.duration > 0) this.duration = video.duration;
    });
    on('resize', () => {
      if (video.videoWidth && video.videoHeight) this.aspect = video.videoWidth / video.videoHeight;
    });
    on('error', () => {
      const { instead } = this.source;
      if (instead && video.error) {
        this.source = { ...this.source, url: instead, instead: undefined };
        // Once hls.js has done what it does about errors.
        setTimeout(() => void this.load());
      } else if (!this.hls && video.error) this.trouble = 'media';
    });
    void this.load();
    return () => {
      events.abort();
      cancelAnimationFrame(this.frame);
      this.hls?.destroy();
      this.hls = this.video = null;
    };
  }

  /** Loads, or loads again after trouble, at the place where it was. */
  async load(): Promise<void> {
    const [video, at, went] = [this.video, this.time, this.playing];
    if (!video) return;
    this.trouble = null;
    this.hls?.destroy();
    this.hls = null;
    let Hls: typeof HlsType;
    try {
      Hls = (await import('hls.js')).default;
    } catch {
      this.trouble = 'network';
      return;
    }
    if (this.video !== video) return;
    if (!Hls.isSupported()) {
      // A native player sends no headers, so it cannot say which embed it is in.
      if (!this.source.token && video.canPlayType('application/vnd.apple.mpegurl')) video.src = this.source.url;
      else this.trouble = 'unsupported';
      return;
    }
    const { timeline, token } = this.source;
    const xhrSetup = token ? (request: XMLHttpRequest) => request.setRequestHeader('Authorization', `Bearer ${token}`) : undefined;
    const hls = new Hls({ ...CONFIG, ...(xhrSetup && { xhrSetup }), startPosition: timeline.toMedia(at) });
    this.hls = hls;
    hls.on(Hls.Events.ERROR, (_, data) => this.failed(Hls, data));
    hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => this.listen());
    hls.loadSource(this.source.url);
    hls.attachMedia(video);
    if (went) void this.play();
  }

  /** Hear interpreters into a language, or with null the original. */
  hear(language: string | null): void {
    this.sound = language;
    this.listen();
  }

  private listen(): void {
    const { hls } = this;
    if (!hls?.audioTracks.length) return;
    const wanted = hls.audioTracks.findIndex((track) => (track.lang ?? null) === this.sound);
    const chosen = wanted >= 0 ? wanted : hls.audioTracks.findIndex((track) => track.default);
    if (chosen >= 0 && hls.audioTrack !== chosen) hls.audioTrack = chosen;
  }

  private failed(Hls: typeof HlsType, data: ErrorData): void {
    const status = data.response?.code;
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.NETWORK_ERROR) {
      this.trouble = status === 401 || status === 403 ? 'access' : 'network';
    } else if (data.type === Hls.ErrorTypes.MEDIA_ERROR && this.repair()) {
      this.hls?.recoverMediaError();
      return;
    } else {
      this.trouble = 'media';
    }
    this.hls?.stopLoad();
    this.video?.pause();
  }

  /** A decoder may be restarted twice in ten seconds; after that it is the recording, not luck. */
  private repair(): boolean {
    const now = performance.now();
    if (now - this.repairedAt > 10_000) this.repairs = 0;
    this.repairedAt = now;
    this.repairs += 1;
    return this.repairs <= 2;
  }

  /** Where it is; what is cut out is gone over, and the end is where the last that is kept ends, whatever the media has beyond. */
  private look(): void {
    const video = this.video;
    if (!video) return;
    const { timeline } = this.source;
    this.time = timeline.toPage(video.currentTime);
    const next = timeline.next(video.currentTime);
    if (next !== null && !video.seeking) video.currentTime = next;
    if (timeline.over(video.currentTime) && !video.paused) {
      video.pause();
      this.ended = true;
    }
  }

  /** `timeupdate` comes four times a second; captions and the seek bar want better while playing. */
  private tick(): void {
    cancelAnimationFrame(this.frame);
    const step = () => {
      if (!this.video || this.video.paused) return;
      this.look();
      this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  async play(): Promise<void> {
    await this.video?.play().catch(() => undefined);
  }

  toggle(): void {
    if (this.video?.paused && this.ended && this.source.timeline.length !== null) this.seek(0);
    if (this.video?.paused) void this.play();
    else this.video?.pause();
  }

  seek(time: number): void {
    if (!this.video) return;
    this.time = Math.max(0, Math.min(time, Math.max(0, this.duration - 0.05)));
    this.ended = false;
    this.video.currentTime = this.source.timeline.toMedia(this.time);
  }

  setRate(rate: number): void {
    if (this.video) this.video.playbackRate = rate;
  }

  /** One step slower or faster. */
  stepRate(by: -1 | 1): void {
    const at = RATES.findIndex((rate) => rate >= this.rate - 0.01);
    const next = RATES[Math.max(0, Math.min(RATES.length - 1, (at < 0 ? RATES.length - 1 : at) + by))];
    if (next !== undefined) this.setRate(next);
  }

  setVolume(volume: number): void {
    if (!this.video) return;
    this.video.volume = Math.max(0, Math.min(1, volume));
    this.video.muted = volume <= 0;
  }

  toggleMuted(): void {
    if (!this.video) return;
    this.video.muted = !this.video.muted;
    if (!this.video.muted && this.video.volume === 0) this.video.volume = 0.5;
  }
}

function bufferedTo(video: HTMLVideoElement): number {
  for (let i = 0; i < video.buffered.length; i += 1) {
    if (video.buffered.start(i) <= video.currentTime + 0.5 && video.buffered.end(i) >= video.currentTime) return video.buffered.end(i);
  }
  return video.currentTime;
}
