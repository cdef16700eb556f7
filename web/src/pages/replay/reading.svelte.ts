/** What was written in the recording (chat, questions, polls), in a language that the reader chose. Made on the server, once for all. */
import type { Doubt, Rendered } from '../../client/protocol';
import { get, post } from '../../site/http';
import type { Poll } from './recording';

interface Text {
  of: string;
  source: string;
  text: string;
  pivot: string | null;
  guard: Doubt[];
}
interface Answer {
  making: boolean;
  without: string[];
  texts: Text[];
}

const KEY = 'consilium.replay.written';
const AGAIN_MS = 1500;

export class Reading {
  /** Languages to choose from; none where nothing can be translated. */
  offered = $state.raw<string[]>([]);
  /** Null: as it was written. */
  language = $state<string | null>(null);
  making = $state(false);
  /** Languages that there is no way from. */
  without = $state.raw<string[]>([]);
  failure = $state.raw<unknown>(null);
  private texts = $state.raw(new Map<string, Text>());
  private asked = 0;
  private readonly path: string;

  constructor(
    recording: string,
    private readonly over: AbortSignal,
  ) {
    this.path = `/api/recordings/${encodeURIComponent(recording)}/written`;
    void this.start();
  }

  /** The translation of what somebody wrote, where there is one. */
  of(text: string): Rendered | null {
    const found = this.language === null ? undefined : this.texts.get(text);
    return found ? { type: 'rendered', of: 'chat', about: '', language: this.language!, ...strip(found) } : null;
  }

  /** A poll in the reader's language; as it was written where something of it may be wrong. */
  poll(poll: Poll): Poll {
    const all = [poll.text, ...poll.choices].map((text) => this.of(text));
    if (all.some((one) => one?.guard.length)) return poll;
    return { ...poll, text: all[0]?.text ?? poll.text, choices: poll.choices.map((choice, i) => all[i + 1]?.text ?? choice) };
  }

  async choose(language: string | null): Promise<void> {
    this.language = language;
    this.texts = new Map();
    this.without = [];
    this.failure = null;
    this.making = false;
    remember(language);
    const asked = ++this.asked;
    if (language === null) return;
    const path = `${this.path}/${encodeURIComponent(language)}`;
    this.making = true;
    try {
      for (let answer = await post<Answer>(path); ; answer = await get<Answer>(path)) {
        if (asked !== this.asked || this.over.aborted) return;
        this.texts = new Map(answer.texts.map((one) => [one.of, one]));
        this.without = answer.without;
        this.making = answer.making;
        if (!answer.making) return;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        if (asked !== this.asked || this.over.aborted) return;
      }
    } catch (error) {
      if (asked === this.asked && !this.over.aborted) [this.failure, this.making] = [error, false];
    }
  }

  private async start(): Promise<void> {
    try {
      const there = await get<{ made: string[]; reached: string[] }>(this.path);
      if (this.over.aborted) return;
      this.offered = [...new Set([...there.made, ...there.reached])].sort();
      const kept = remembered();
      if (kept !== null && this.offered.includes(kept)) void this.choose(kept);
    } catch {
      // Everything is there as it was written.
    }
  }
}

const strip = ({ source, text, pivot, guard }: Text) => ({ source, text, pivot, guard });

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
function remember(language: string | null): void {
  try {
    if (language === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, language);
  } catch {
    // Storage may be refused; the choice then lasts as long as the page.
  }
}
