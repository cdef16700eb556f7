/** One recorded track on a muted `<video>` that keeps to the clock of another element, which has the sound. */
import type HlsType from 'hls.js';
import { follow } from './grid';
import { CONFIG } from './player.svelte';

const EVERY_MS = 200;
const AGAIN_MS = 3000;

export interface Track {
  url: string;
  token: string | null;
}

/** Plays `track` in step with `clock`; `pictured` is told whether there is something to see. Returns what ends it. */
export function slave(video: HTMLVideoElement, clock: HTMLMediaElement, track: Track, pictured: (there: boolean) => void): () => void {
  let hls: HlsType | null = null;
  let over = false;
  let repairs = 0;
  let again: ReturnType<typeof setTimeout> | undefined;
  const events = new AbortController();

  const keep = () => {
    if (video.readyState < 1) return;
    const still = clock.paused || clock.seeking || clock.readyState < 3;
    const drift = video.currentTime - clock.currentTime;
    const step = follow(drift, still ? 0 : clock.playbackRate);
    if (still && !video.paused) video.pause();
    // While it waits for its data at about the right place another jump would only begin the wait anew.
    const waits = (video.seeking || video.readyState < 3) && drift > -4 && drift <= 0.4;
    if (step.jump && !(waits && !still)) video.currentTime = clock.currentTime;
    if (Math.abs(video.playbackRate - step.rate) > 0.004) video.playbackRate = step.rate;
    if (!still && video.paused) void video.play().catch(() => undefined);
  };

  void import('hls.js')
    .then(({ default: Hls }) => {
      if (over) return;
      const { token } = track;
      const xhrSetup = token ? (request: XMLHttpRequest) => request.setRequestHeader('Authorization', `Bearer ${token}`) : undefined;
      const small = { maxBufferLength: 12, maxMaxBufferLength: 20, backBufferLength: 20, startPosition: clock.currentTime };
      hls = new Hls({ ...CONFIG, ...small, ...(xhrSetup && { xhrSetup }) });
      hls.on(Hls.Events.ERROR, (_, data) => {
        if (!data.fatal || over) return;
        if (data.type === Hls.ErrorTypes.MEDIA_ERROR && (repairs += 1) <= 2) return hls?.recoverMediaError();
        pictured(false);
        const refused = [401, 403, 404].includes(data.response?.code ?? 0);
        if (data.type === Hls.ErrorTypes.NETWORK_ERROR && !refused) again = setTimeout(() => hls?.startLoad(), AGAIN_MS);
        else hls?.stopLoad();
      });
      hls.loadSource(track.url);
      hls.attachMedia(video);
    })
    .catch(() => pictured(false));

  for (const name of ['play', 'pause', 'playing', 'waiting', 'seeking', 'seeked', 'ratechange'] as const) {
    clock.addEventListener(name, keep, { signal: events.signal });
  }
  for (const name of ['loadeddata', 'seeked', 'playing'] as const) {
    video.addEventListener(name, () => pictured(video.readyState >= 2), { signal: events.signal });
  }
  video.addEventListener('canplay', keep, { signal: events.signal });
  const timer = setInterval(keep, EVERY_MS);
  return () => {
    over = true;
    clearInterval(timer);
    clearTimeout(again);
    events.abort();
    hls?.destroy();
  };
}
