/** Requests to our own server: JSON in, JSON out, and errors a page can put into words. */
import type { MessageKey } from '../i18n.svelte';

/** What went wrong, as a page tells people: one message each (`fail.*`). */
export type Failure = 'offline' | 'slow' | 'login' | 'forbidden' | 'missing' | 'busy' | 'conflict' | 'invalid' | 'server';

/** A request that did not succeed. `detail` is the server's own sentence, for where ours would say less. */
export class HttpError extends Error {
  constructor(
    readonly failure: Failure,
    readonly status = 0,
    readonly code = '',
    readonly detail = '',
  ) {
    super(detail || failure);
  }
}

const failures: Record<number, Failure> = {
  400: 'invalid',
  401: 'login',
  403: 'forbidden',
  404: 'missing',
  405: 'missing',
  409: 'conflict',
  410: 'missing',
  413: 'invalid',
  415: 'invalid',
  422: 'invalid',
  429: 'busy',
};

/** The message for a failure of a request. */
export function failureKey(error: unknown): MessageKey {
  return `fail.${error instanceof HttpError ? error.failure : 'server'}`;
}

/**
 * One request. Cookies of this server go along, nothing else does.
 *
 * @throws HttpError for every outcome but 2xx, lost connections and silence of `seconds` included.
 */
export async function request<T>(method: string, path: string, body?: unknown, seconds = 20, more: Record<string, string> = {}): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json', ...more };
  const file = body instanceof Blob;
  if (body !== undefined) headers['content-type'] = file ? 'application/octet-stream' : 'application/json';
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : file ? body : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.timeout(seconds * 1000),
    });
  } catch (error) {
    throw new HttpError(error instanceof DOMException && error.name === 'TimeoutError' ? 'slow' : 'offline');
  }
  const text = await response.text().catch(() => '');
  const json = parse(text);
  if (!response.ok) {
    const error = explain(json);
    throw new HttpError(failures[response.status] ?? 'server', response.status, error.code, error.detail);
  }
  return json as T;
}

export const get = <T>(path: string, headers?: Record<string, string>) => request<T>('GET', path, undefined, 20, headers);
export const post = <T>(path: string, body: unknown = {}, headers?: Record<string, string>) => request<T>('POST', path, body, 20, headers);
export const remove = <T = unknown>(path: string) => request<T>('DELETE', path);

function parse(text: string): unknown {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

function explain(json: unknown): { code: string; detail: string } {
  const flat = json && typeof json === 'object' ? (json as Record<string, unknown>) : {};
  const inner = flat.error && typeof flat.error === 'object' ? (flat.error as Record<string, unknown>) : flat;
  const word = (value: unknown) => (typeof value === 'string' ? value.slice(0, 300) : '');
  return { code: word(inner.code ?? flat.error), detail: word(inner.message ?? inner.detail ?? inner.reason) };
}
