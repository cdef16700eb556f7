/** The client-side router: one table of paths, links handled in one place, pages loaded when wanted. */
import type { Component } from 'svelte';

export type Params = Record<string, string>;
export type Page = Component<{ params: Params }>;
type Loader = () => Promise<{ default: Page }>;

/** `src/pages/{name}/index.svelte`; a page that is not there yet is simply not found. */
const modules = import.meta.glob<{ default: Page }>('./pages/*/index.svelte');

const table: [pattern: string, page: string][] = [
  ['/', 'home'],
  ['/j/:code', 'join'],
  ['/r/:room', 'join'],
  ['/replay/:id', 'replay'],
  ['/replay/:id/edit', 'edit'],
  ['/embed/:share', 'embed'],
  ['/live/:id', 'live'],
  ['/embed/live/:id', 'embedlive'],
  ['/setup/:code', 'setup'],
  ['/invitation', 'invitation'],
  ['/login', 'login'],
  ['/admin', 'admin'],
  ['/help/api', 'api'],
  ['/check', 'check'],
];

/** The page's name and parameters for a path, or null when no route has it. */
export function match(path: string): { page: string; params: Params } | null {
  const parts = path.split('/').filter(Boolean);
  for (const [pattern, page] of table) {
    const wanted = pattern.split('/').filter(Boolean);
    if (wanted.length !== parts.length) continue;
    const params: Params = {};
    const fits = wanted.every((piece, i) => {
      const actual = parts[i]!;
      if (!piece.startsWith(':')) return piece === actual;
      try {
        params[piece.slice(1)] = decodeURIComponent(actual);
        return true;
      } catch {
        return false;
      }
    });
    if (fits) return { page, params };
  }
  return null;
}

class Router {
  path = $state(location.pathname);

  constructor() {
    addEventListener('popstate', () => (this.path = location.pathname));
    document.addEventListener('click', (event) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      const link = (event.target as Element | null)?.closest('a');
      if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
      if (link.hash || !match(link.pathname)) return;
      event.preventDefault();
      this.go(link.pathname + link.search);
    });
  }

  /** Goes to a path of this client; `replace` leaves no entry in the history. */
  go(path: string, replace = false): void {
    history[replace ? 'replaceState' : 'pushState'](null, '', path);
    this.path = location.pathname;
    scrollTo(0, 0);
  }

  /** Changes what the address bar says without changing the page (to take a secret out of it). */
  disguise(path: string): void {
    history.replaceState(null, '', path);
  }

  loader(page: string): Loader | undefined {
    return modules[`./pages/${page}/index.svelte`];
  }
}

export const router = new Router();
