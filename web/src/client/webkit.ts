/**
 * Safari, and every browser on an iPhone or iPad: one engine with habits of its own (docs/quirks.md), which no question to it would
 * bring to light.
 */
export const isWebKit = (agent: string = globalThis.navigator?.userAgent ?? ''): boolean =>
  /AppleWebKit\//.test(agent) && !/Chrome\/|Chromium\/|Android/.test(agent);

/**
 * Calls back when a track was interrupted (a phone call, another program, the page in the background) and may be had again. WebKit
 * gives such a track back as live and unmuted though nothing comes any more: only a new one helps. Returns how to stop.
 */
export function whenInterrupted(track: MediaStreamTrack, again: () => void, page: Document = document): () => void {
  let interrupted = false; // A fresh one may well begin muted.
  const muted = () => (interrupted = true);
  const back = () => {
    if (!interrupted || page.visibilityState !== 'visible') return;
    stop();
    if (track.readyState === 'live') again();
  };
  const stop = () => {
    track.removeEventListener('mute', muted);
    track.removeEventListener('unmute', back);
    page.removeEventListener('visibilitychange', back);
  };
  track.addEventListener('mute', muted);
  track.addEventListener('unmute', back);
  page.addEventListener('visibilitychange', back);
  return stop;
}
