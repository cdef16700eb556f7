/** What people paste when they have a link: a whole address, a part of it, or the code alone. */

/** The path of this client that it means, or null. */
export function pathOf(pasted: string, origin: string): string | null {
  const text = pasted.trim();
  if (!text) return null;
  if (/^[A-Za-z0-9_-]{4,128}$/.test(text)) return `/j/${text}`;
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : text.startsWith('/') ? origin + text : `https://${text}`);
  } catch {
    return null;
  }
  // The same page by another name of this server (a port, a public address) still means this server.
  if (!/^https?:$/.test(url.protocol) || !/^\/(j|r|replay|setup)\/[^/]+\/?$/.test(url.pathname)) return null;
  return url.pathname + url.hash;
}
