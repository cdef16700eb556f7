import { expect, test, vi } from 'vitest';
import { isWebKit, whenInterrupted } from './webkit';

const AGENTS: [string, boolean][] = [
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15', true],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/123.0 Mobile/15E148 Safari/604.1', true],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/124.0 Mobile/15E148 Safari/605.1.15', true],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Safari/537.36', false],
  ['Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Safari/537.36 Edg/123.0', false],
  ['Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Mobile Safari/537.36', false],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0', false],
];

test.each(AGENTS)('%s', (agent, expected) => expect(isWebKit(agent)).toBe(expected));

class Fake extends EventTarget {
  muted = false;
  readyState = 'live';
  visibilityState = 'visible';
}

function watched() {
  const track = new Fake();
  const page = new Fake();
  const again = vi.fn();
  const stop = whenInterrupted(track as unknown as MediaStreamTrack, again, page as unknown as Document);
  return { track, page, again, stop };
}

test('an interrupted track is asked for again once, when the page is in sight', () => {
  const { track, page, again } = watched();
  page.dispatchEvent(new Event('visibilitychange'));
  track.dispatchEvent(new Event('unmute'));
  expect(again).not.toHaveBeenCalled();
  page.visibilityState = 'hidden';
  track.dispatchEvent(new Event('mute'));
  track.dispatchEvent(new Event('unmute'));
  expect(again).not.toHaveBeenCalled();
  page.visibilityState = 'visible';
  page.dispatchEvent(new Event('visibilitychange'));
  track.dispatchEvent(new Event('unmute'));
  expect(again).toHaveBeenCalledOnce();
});

test('a track that was stopped meanwhile, or is not watched any more, stays as it is', () => {
  for (const end of ['ended', 'stop'] as const) {
    const { track, again, stop } = watched();
    track.dispatchEvent(new Event('mute'));
    if (end === 'ended') track.readyState = 'ended';
    else stop();
    track.dispatchEvent(new Event('unmute'));
    expect(again).not.toHaveBeenCalled();
  }
});
