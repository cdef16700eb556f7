/** Captions where the page cannot draw: picture in picture and the full screen of phones show the video's own text tracks only. */
import { words, type Recording } from './recording';

const escape = (text: string) => text.replace(/[&<>]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign]!);

/** Keeps one text track in `language` beside the video, shown only while it plays outside the page. Returns what ends it. */
export function mirror(video: HTMLVideoElement, recording: Recording, language: string | null): () => void {
  if (!language) return () => undefined;
  const track = [...video.textTracks].find((one) => one.language === language) ?? video.addTextTrack('captions', language, language);
  track.mode = 'hidden';
  const fill = () => {
    if (track.cues?.length) return;
    for (const line of recording.lines) {
      if (line.end <= line.start) continue;
      track.addCue(new VTTCue(recording.timeline.toMedia(line.start), recording.timeline.toMedia(line.end), `${escape(line.person.name)}: ${escape(words(line, language).text)}`));
    }
  };
  const outside = (shows: boolean) => () => {
    if (shows) fill();
    track.mode = shows ? 'showing' : 'hidden';
  };
  const events = new AbortController();
  for (const [name, shows] of [
    ['enterpictureinpicture', true],
    ['leavepictureinpicture', false],
    ['webkitbeginfullscreen', true],
    ['webkitendfullscreen', false],
  ] as const) {
    video.addEventListener(name, outside(shows), { signal: events.signal });
  }
  if (document.pictureInPictureElement === video) outside(true)();
  return () => {
    events.abort();
    track.mode = 'disabled';
  };
}
