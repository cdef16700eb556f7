/** What a person chose once and should not have to choose again, kept in this browser only. */
const KEY = 'consilium.preferences';

const defaults = {
  name: '',
  /** Where one comes from, as it stands beneath the name. */
  institution: '',
  /** '' means: detect. */
  spoken: '',
  /** '' means: as spoken; null: not chosen yet. */
  reads: null as string | null,
  microphone: '',
  camera: '',
  speaker: '',
  microphoneOn: true,
  cameraOn: true,
  captions: true,
  captionSize: 24,
  captionLines: 3,
  captionPosition: 'bottom' as 'bottom' | 'top' | 'side',
  captionOriginal: false,
  captionContrast: false,
  captionBackground: 'none' as 'none' | 'black' | 'white',
  /** Whether a screen reader is given all words, not only translated ones. */
  captionSpoken: false,
  /** Whether one's own words are captioned. */
  captioned: true,
  /** Whether one's name stands beside them. */
  named: true,
  /** The interpreters' channel to hear, where there is one; '' means: the original. */
  channel: '',
  layout: 'auto' as 'auto' | 'grid' | 'speaker',
};
type Preferences = typeof defaults;

function load(): Preferences {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, unknown>;
    const known = Object.entries(defaults).filter(([key, value]) => key in stored && (value === null || typeof stored[key] === typeof value));
    const merged = { ...defaults, ...Object.fromEntries(known.map(([key]) => [key, stored[key]])) } as Preferences;
    merged.captionSize = Math.min(40, Math.max(16, merged.captionSize || 24));
    if (!['none', 'black', 'white'].includes(merged.captionBackground)) merged.captionBackground = 'none';
    merged.captionLines = Math.min(3, Math.max(1, Math.round(merged.captionLines) || 3));
    return merged;
  } catch {
    return { ...defaults };
  }
}

export const preferences = $state(load());

/** Keeps them; called by the page's one effect. */
export function keepPreferences(): void {
  const text = JSON.stringify(preferences);
  try {
    localStorage.setItem(KEY, text);
  } catch {
    // Private windows may refuse; they then last as long as the page.
  }
}
