/** Server-sent events by `fetch`, for where a token stands for the cookie: an `EventSource` sends no headers. */

export interface Event {
  name: string;
  data: string;
}

/** Lines in, events out (HTML, section 9.2.6), as far as ours need it: names and data. */
export class Parser {
  private rest = '';
  private name = '';
  private data: string[] = [];

  take(text: string): Event[] {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    const found: Event[] = [];
    for (const line of lines) {
      if (!line) {
        if (this.data.length) found.push({ name: this.name || 'message', data: this.data.join('\n') });
        [this.name, this.data] = ['', []];
      } else if (line.startsWith('event:')) this.name = line.slice(6).trim();
      else if (line.startsWith('data:')) this.data.push(line.slice(5).replace(/^ /, ''));
    }
    return found;
  }
}

/** Calls `onevent` until it ends or is closed, then, unless closed, `onend`. Returns what closes it. */
export function follow(path: string, token: string, onevent: (event: Event) => void, onend: () => void): () => void {
  const over = new AbortController();
  void (async () => {
    try {
      const headers = { accept: 'text/event-stream', authorization: `Bearer ${token}` };
      const response = await fetch(path, { headers, cache: 'no-store', signal: over.signal });
      if (response.ok && response.body) {
        const reader = response.body.getReader();
        const parser = new Parser();
        const decoder = new TextDecoder();
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
          for (const event of parser.take(decoder.decode(piece.value, { stream: true }))) onevent(event);
        }
      }
    } catch {
      // The network; it is tried again by whoever asked.
    }
    if (!over.signal.aborted) onend();
  })();
  return () => over.abort();
}
