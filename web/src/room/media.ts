/** Attachments that put a track into an element. */
import type { Attachment } from 'svelte/attachments';
import type { View } from '../client/view';

/** Plays an element now, and again when the browser has paused it: WebKit does for a phone call or in the background. Returns how to stop. */
function keepPlaying(element: HTMLMediaElement, refused: (error: DOMException) => void): () => void {
  const again = () => {
    if (element.paused && document.visibilityState === 'visible') element.play().catch(refused);
  };
  again();
  element.addEventListener('pause', again);
  document.addEventListener('visibilitychange', again);
  return () => {
    element.removeEventListener('pause', again);
    document.removeEventListener('visibilitychange', again);
  };
}

/** Shows a video track. */
export function show(track: MediaStreamTrack): Attachment<HTMLVideoElement> {
  return (video) => {
    video.srcObject = new MediaStream([track]);
    const stop = keepPlaying(video, () => {}); // It is muted, so it may; `autoplay` tries again in any case.
    return () => {
      stop();
      video.srcObject = null;
    };
  };
}

/** Tells the server how large an element shows a track, and whether any of it is in sight. */
export function watch(view: View, track: string, pinned: boolean): Attachment<HTMLElement> {
  return (element) => {
    let visible = false;
    const say = () => {
      // Beyond twice the CSS size nobody sees the difference in a moving picture.
      const density = Math.min(devicePixelRatio, 2);
      view.show(track, { width: element.clientWidth * density, height: element.clientHeight * density, visible, pinned });
    };
    const size = new ResizeObserver(say);
    const sight = new IntersectionObserver((entries) => {
      visible = entries.at(-1)!.isIntersecting;
      say();
    });
    size.observe(element);
    sight.observe(element);
    return () => {
      size.disconnect();
      sight.disconnect();
      view.show(track, null);
    };
  };
}

/** Names a tile. */
export const tileKey = (person: string, source: 'camera' | 'screen'): string => `${person} ${source}`;

/** Plays an audio track on a speaker; `blocked` hears whether the browser wants a click first. */
export function play(track: MediaStreamTrack, speaker: string, blocked: (blocked: boolean) => void): Attachment<HTMLAudioElement> {
  return (audio) => {
    audio.srcObject = new MediaStream([track]);
    const sink = audio as HTMLAudioElement & { setSinkId?: (id: string) => Promise<void> };
    if (speaker && sink.setSinkId) void sink.setSinkId(speaker).catch(() => {});
    const stop = keepPlaying(audio, (error) => error.name === 'NotAllowedError' && blocked(true));
    return () => {
      stop();
      audio.srcObject = null;
    };
  };
}

/** Up to two letters for a person without a picture. */
export function initials(name: string): string {
  const all = name.trim().split(/\s+/).filter(Boolean);
  const plain = all.filter((word) => !word.endsWith('.')); // "Prof.", "Dr.", a middle initial
  const words = plain.length > 0 ? plain : all;
  const first = (word: string | undefined) => (word ? ([...word][0] ?? '') : '');
  // Letters of joined or syllabic scripts make no sense side by side.
  const two = words.length > 1 && /^[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}]/u.test(words[0]!);
  return (first(words[0]) + (two ? first(words.at(-1)) : '')).toLocaleUpperCase();
}

/** The grid for `count` tiles of 16:9 in a box that gives the largest tiles. */
export function grid(count: number, width: number, height: number, gap: number): { columns: number; width: number; height: number } {
  let best = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const w = (width - gap * (columns - 1)) / columns;
    const h = (height - gap * (rows - 1)) / rows;
    // Portrait phones may stand a tile nearly square rather than leave the screen empty.
    const tile = Math.min(w, (h * 16) / 9);
    const tall = Math.min(h, (tile * 3) / 4);
    if (tile * tall > best.width * best.height) best = { columns, width: tile, height: tall };
  }
  return best;
}
