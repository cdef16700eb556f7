/** From what the address says to the right to enter: a link's code, a grant after `#grant=`, or what this tab already holds. */
import type { Role } from '../../client/protocol';
import type { MessageKey } from '../../i18n.svelte';

export interface Invitation {
  room: string;
  grant: string;
  role: Role | null;
  /** The room's name, when the server said it. */
  title: string | null;
}

export class LinkError extends Error {
  constructor(readonly words: MessageKey) {
    super(words);
  }
}

const key = (room: string) => `consilium.grant.${room}`;

/** Finds the invitation. A grant leaves the address at once; a code when it was redeemed (the page then takes the room's path). */
export async function invitation({ code, room }: { code?: string; room?: string }): Promise<Invitation> {
  if (code !== undefined) {
    const held = taken.get(code);
    if (held) return held;
    const answer = await post(`/api/links/${encodeURIComponent(code)}`);
    const found = read(answer, null);
    taken.set(code, found);
    keep(found);
    return found;
  }
  const id = room!;
  const fragment = new URLSearchParams(location.hash.slice(1)).get('grant');
  if (fragment) {
    history.replaceState(null, '', location.pathname);
    const found: Invitation = { room: id, grant: fragment, role: null, title: null };
    keep(found);
    return found;
  }
  const held = kept(id);
  if (held) return held;
  // A member who is logged in needs no link.
  const found = read(await post(`/api/rooms/${encodeURIComponent(id)}/grants`), id);
  keep(found);
  return found;
}

/** A code may be good for one use only, so its answer is kept for a second try. */
const taken = new Map<string, Invitation>();

async function post(path: string): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: '{}',
      signal: AbortSignal.timeout(15_000),
    });
  } catch {
    throw new LinkError('join.link_offline');
  }
  if (response.ok) return response.json().catch(() => null);
  if (response.status === 429) throw new LinkError('join.link_busy');
  if (response.status === 401 || response.status === 403) throw new LinkError(path.startsWith('/api/links') ? 'join.link_dead' : 'join.need_link');
  if (response.status < 500) throw new LinkError(path.startsWith('/api/links') ? 'join.link_dead' : 'join.need_link');
  throw new LinkError('join.link_server');
}

function read(answer: unknown, room: string | null): Invitation {
  const { room: said, grant, role, title, name } = (answer ?? {}) as Record<string, unknown>;
  const id = room ?? (typeof said === 'string' ? said : null);
  if (id === null || typeof grant !== 'string') throw new LinkError('join.link_server');
  const words = typeof title === 'string' ? title : typeof name === 'string' ? name : null;
  return { room: id, grant, role: typeof role === 'string' ? (role as Role) : null, title: words };
}

function keep(found: Invitation): void {
  try {
    sessionStorage.setItem(key(found.room), JSON.stringify(found));
  } catch {
    // Then a reload needs the link again.
  }
}

function kept(room: string): Invitation | null {
  try {
    const found = JSON.parse(sessionStorage.getItem(key(room)) ?? 'null') as Invitation | null;
    if (!found || typeof found.grant !== 'string') return null;
    const claims = JSON.parse(atob(found.grant.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/'))) as { exp?: number };
    return claims.exp !== undefined && claims.exp * 1000 < Date.now() ? null : found;
  } catch {
    return null;
  }
}

/** The server refused the grant: it is not worth keeping. */
export function forget(room: string): void {
  try {
    sessionStorage.removeItem(key(room));
  } catch {
    // Nothing was kept.
  }
}
