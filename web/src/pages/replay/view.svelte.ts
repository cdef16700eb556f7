/** How this reader likes to read: kept on this device, with what the recording has to offer in mind. */

interface Kept {
  language: string | null;
  on: boolean;
  original: boolean;
  size: number;
  top: boolean;
  grid: boolean;
  names: boolean;
  sound: string | null;
}

export const SIZES = [16, 20, 24, 28, 32, 36, 40] as const;
const KEY = 'consilium.replay';

export class View {
  /** The caption language, of those that the recording has. */
  language = $state<string | null>(null);
  on = $state(true);
  original = $state(false);
  size = $state<number>(innerWidth < 600 ? 20 : 24);
  top = $state(false);
  /** Everybody side by side, rather than who speaks. */
  grid = $state(false);
  /** Names over the picture, where it was broadcast. */
  names = $state(true);
  /** The language of the interpreters that are heard, where there are any; null: the original. */
  sound = $state<string | null>(null);
  transcript = $state<string | null>(null);

  constructor(languages: readonly string[], wanted: readonly string[]) {
    const kept = remembered();
    if (typeof kept.on === 'boolean') this.on = kept.on;
    if (typeof kept.original === 'boolean') this.original = kept.original;
    if (typeof kept.top === 'boolean') this.top = kept.top;
    if (typeof kept.grid === 'boolean') this.grid = kept.grid;
    if (typeof kept.names === 'boolean') this.names = kept.names;
    if (typeof kept.sound === 'string') this.sound = kept.sound;
    if (SIZES.some((size) => size === kept.size)) this.size = kept.size!;
    this.language = pick(languages, [...(kept.language ? [kept.language] : []), ...wanted]);
    this.transcript = this.language;
  }

  show(language: string): void {
    this.language = language;
    this.on = true;
    this.keep();
  }

  set(change: Partial<Omit<Kept, 'language'>>): void {
    Object.assign(this, change);
    this.keep();
  }

  private keep(): void {
    const { language, on, original, size, top, grid, names, sound } = this;
    try {
      localStorage.setItem(KEY, JSON.stringify({ language, on, original, size, top, grid, names, sound } satisfies Kept));
    } catch {
      // Storage may be refused; the choice then lasts as long as the page.
    }
  }
}

/** The first language wanted that there is, whole tag before its first part; else the first there is. */
export function pick(there: readonly string[], wanted: readonly string[]): string | null {
  const base = (tag: string) => tag.split('-')[0]!.toLowerCase();
  for (const tag of wanted) {
    const found = there.find((one) => one === tag) ?? there.find((one) => base(one) === base(tag));
    if (found) return found;
  }
  return there[0] ?? null;
}

function remembered(): Partial<Kept> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    return kept && typeof kept === 'object' ? (kept as Partial<Kept>) : {};
  } catch {
    return {};
  }
}
