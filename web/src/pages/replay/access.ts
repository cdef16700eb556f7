/** The access code of a replay link: used once for a cookie, taken out of the address bar, kept for the share button. */

/** The code in `#k=CODE`, if it looks like one. */
export function codeIn(hash: string): string | null {
  const code = new URLSearchParams(hash.replace(/^#/, '')).get('k');
  return code && /^[A-Za-z0-9._~-]{4,512}$/.test(code) ? code : null;
}

/** The second to begin at in `#t=SECONDS`, or null. */
export function timeIn(hash: string): number | null {
  const time = Number.parseFloat(new URLSearchParams(hash.replace(/^#/, '')).get('t') ?? '');
  return Number.isFinite(time) && time >= 0 ? time : null;
}

const key = (recording: string) => `consilium.replay.${recording}`;

export function keepCode(recording: string, code: string): void {
  try {
    sessionStorage.setItem(key(recording), code);
  } catch {
    // Without storage the link can be shared until the page is left.
  }
}

export function keptCode(recording: string): string | null {
  try {
    return sessionStorage.getItem(key(recording));
  } catch {
    return null;
  }
}

/** The link to give on, to a second of it if wanted. Whoever has rights by their account needs no code. */
export function shareLink(origin: string, recording: string, code: string | null, time: number | null = null): string {
  const parts = [...(code ? [`k=${code}`] : []), ...(time ? [`t=${Math.floor(time)}`] : [])];
  return `${origin}/replay/${encodeURIComponent(recording)}${parts.length ? `#${parts.join('&')}` : ''}`;
}
