/** The keyboard of the replay: what every player does, and nothing while somebody writes. */

export interface Keys {
  toggle(): void;
  by(seconds: number): void;
  to(fraction: number): void;
  rate(by: -1 | 1): void;
  louder(by: number): void;
  mute(): void;
  captions(): void;
  fullscreen(): void;
  search(): void;
  help(): void;
  chapter(by: -1 | 1): void;
}

const writes = 'input:not([type=range]), textarea, select, [contenteditable]';
const pressable = 'button, a, summary, [role^=menuitem], [role=tab], [role=option]';

/** Does what a key asks for; true when it was one of ours. */
export function press(event: KeyboardEvent, keys: Keys): boolean {
  const target = event.target instanceof Element ? event.target : null;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || target?.closest(writes)) return false;
  if (target?.closest('dialog')) return false;
  const onControl = target?.closest(`${pressable}, input`);
  const action = letters(event.key, keys) ?? (onControl ? undefined : bare(event.key, keys));
  if (!action) return false;
  event.preventDefault();
  action();
  return true;
}

function letters(key: string, keys: Keys): (() => void) | undefined {
  switch (key.length === 1 ? key.toLowerCase() : key) {
    case 'k':
      return () => keys.toggle();
    case 'j':
      return () => keys.by(-10);
    case 'l':
      return () => keys.by(10);
    case 'f':
      return () => keys.fullscreen();
    case 'c':
      return () => keys.captions();
    case 'm':
      return () => keys.mute();
    case '<':
      return () => keys.rate(-1);
    case '>':
      return () => keys.rate(1);
    case 'p':
      return () => keys.chapter(-1);
    case 'n':
      return () => keys.chapter(1);
    case '/':
      return () => keys.search();
    case '?':
      return () => keys.help();
    default:
      return undefined;
  }
}

/** Keys that buttons, menus and sliders need for themselves. */
function bare(key: string, keys: Keys): (() => void) | undefined {
  switch (key) {
    case ' ':
      return () => keys.toggle();
    case 'ArrowLeft':
      return () => keys.by(-5);
    case 'ArrowRight':
      return () => keys.by(5);
    case 'ArrowUp':
      return () => keys.louder(0.1);
    case 'ArrowDown':
      return () => keys.louder(-0.1);
    case 'Home':
      return () => keys.to(0);
    case 'End':
      return () => keys.to(1);
    default:
      return /^[0-9]$/.test(key) ? () => keys.to(Number(key) / 10) : undefined;
  }
}
