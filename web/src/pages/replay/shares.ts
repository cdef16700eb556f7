/** Ways to a recording (signaling/shares.py). Times in milliseconds, as the server has them. */
import { get, post, remove } from '../../site/http';

export type Audience = 'link' | 'members' | 'group' | 'public';
export interface Passage {
  start: number;
  end: number;
}
export interface Share {
  id: string;
  audience: Audience;
  label: string;
  path: string;
  embed: string | null;
  createdAt: string;
  expiresAt: string | null;
  password: boolean;
  start: number;
  passage: Passage | null;
  sites: string[];
  uses: number;
  group: string | null;
}
export interface NewShare {
  audience: Audience;
  group?: string;
  days?: number;
  password?: string;
  start?: number;
  passage?: Passage;
  sites?: string[];
}
export interface Opened {
  recording: string;
  start: number;
  token: string | null;
}

const base = (recording: string) => `/api/recordings/${encodeURIComponent(recording)}`;

export const list = (recording: string) => get<Share[]>(`${base(recording)}/shares`);
export const create = (recording: string, share: NewShare) => post<Share>(`${base(recording)}/shares`, share);
export const end = (recording: string, share: string) => remove(`${base(recording)}/shares/${encodeURIComponent(share)}`);
export const keep = (recording: string, days: number | null) => post(`${base(recording)}/keep`, { days });

/** Exchanges a code, or nothing where a recording is public, for a cookie. */
export const open = (recording: string, code: string | null, password: string | null) =>
  post<Opened>(`${base(recording)}/access`, { ...(code && { code }), ...(password && { password }) });

/** The same inside another site: for a token. */
export const openEmbed = (share: string, code: string | null, password: string | null) =>
  post<Opened>(`/api/embeds/${encodeURIComponent(share)}/access`, { ...(code && { code }), ...(password && { password }) });

/** What another site puts into its page. The title is data of ours in somebody's HTML. */
export function embedCode(origin: string, path: string, title: string): string {
  const quoted = title.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<iframe src="${origin}${path}" title="${quoted}" width="960" height="640" style="border:0;max-width:100%" allow="fullscreen; picture-in-picture" loading="lazy"></iframe>`;
}

/** Seconds of `1:02:05`, `2:05` or `125`; null for anything else. */
export function seconds(text: string): number | null {
  const parts = text.trim().split(':');
  if (parts.length > 3 || !parts.every((part) => /^\d{1,5}$/.test(part.trim()))) return null;
  return parts.reduce((whole, part) => whole * 60 + Number(part), 0);
}
