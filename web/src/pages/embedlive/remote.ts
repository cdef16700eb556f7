/**
 * The JavaScript API of the embedded player (docs/embedding.md): messages between the frame and the page around it.
 * Whose page may be around it is said by `frame-ancestors`; who else sends messages is not listened to.
 */

export interface State {
  state: string;
  playing: boolean;
  muted: boolean;
  /** Whether what is seen is what happens now, and by which way. */
  live: boolean;
  tier: string;
  captions: string | null;
  languages: string[];
}

export type Command = { act: 'play' | 'pause' | 'mute' | 'unmute' | 'live' | 'hello' } | { act: 'captions'; language: string | null };

const PLAIN = ['play', 'pause', 'mute', 'unmute', 'live', 'hello'];

/** A message as a command; null for what is none. Anything may come. */
export function command(data: unknown): Command | null {
  if (typeof data !== 'object' || data === null || !('consilium' in data)) return null;
  const act = data.consilium;
  if (act === 'captions') {
    const language = 'language' in data ? data.language : null;
    return language === null || (typeof language === 'string' && language.length <= 35) ? { act, language } : null;
  }
  return typeof act === 'string' && PLAIN.includes(act) ? ({ act } as Command) : null;
}

/** Listens to the page around; returns what tells it a state, and what ends it all. */
export function remote(run: (command: Command) => void): { tell: (state: State) => void; close: () => void } {
  let origin: string | null = null;
  let last: State | null = null;
  const send = () => {
    if (origin !== null && last !== null) window.parent.postMessage({ consilium: 'state', ...last }, origin);
  };
  const listen = (event: MessageEvent<unknown>) => {
    if (event.source !== window.parent || window.parent === window) return;
    const found = command(event.data);
    if (!found) return;
    origin = event.origin;
    if (found.act === 'hello') send();
    else run(found);
  };
  addEventListener('message', listen);
  return {
    tell(state) {
      if (JSON.stringify(state) === JSON.stringify(last)) return;
      last = state;
      send();
    },
    close: () => removeEventListener('message', listen),
  };
}
