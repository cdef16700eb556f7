/** How hard a password is to guess, roughly: enough to nudge, no dictionary of the world's passwords is shipped. */

export const SHORTEST = 10;

/** 0 too short, 1 weak, 2 fair, 3 strong. `known` are words that the password should not be made of. */
export function strength(password: string, known: readonly string[] = []): 0 | 1 | 2 | 3 {
  if (password.length < SHORTEST) return 0;
  let text = password.toLowerCase();
  for (const word of known) for (const part of word.toLowerCase().split(/[^\p{L}\p{N}]+/u)) if (part.length > 2) text = text.replaceAll(part, '');
  // Runs ("aaaa", "1234", "abcd") count as one character.
  let worth = 0;
  for (let i = 0; i < text.length; i += 1) {
    const step = i ? text.charCodeAt(i) - text.charCodeAt(i - 1) : 9;
    if (Math.abs(step) > 1) worth += 1;
  }
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{N}/u, /[^\p{L}\p{N}]/u].filter((kind) => kind.test(password)).length;
  const score = Math.min(worth, new Set(text).size * 2) + (kinds - 1) * 2;
  return score < 10 ? 1 : score < 16 ? 2 : 3;
}
