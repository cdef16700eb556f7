/** Glossaries over HTTP (signaling/glossaries.py): the organisation's, or one room's. */
import { get, post, remove, request } from './http';

export interface Term {
  id: string;
  term: string;
  language: string;
  kind: 'term' | 'drug';
  aliases: string[];
  translations: Record<string, string>;
}
export interface Imported {
  added: number;
  changed: number;
  terms: number;
}
export type NewTerm = Omit<Term, 'id'>;

const path = (room: string) => (room ? `/api/rooms/${encodeURIComponent(room)}/glossary` : '/api/glossary');

export const terms = (room: string) => get<Term[]>(path(room));
export const writeTerm = (room: string, id: string | null, term: NewTerm) => post<Term>(`${path(room)}/terms${id ? `/${encodeURIComponent(id)}` : ''}`, term);
export const deleteTerm = (room: string, id: string) => remove(`${path(room)}/${encodeURIComponent(id)}`);
export const importTerms = (room: string, file: Blob) => request<Imported>('POST', path(room), file);

/** `pt: metformina` a line, as people type translations; what is no such line is left out. */
export function readTranslations(text: string): Record<string, string> {
  const lines = text.split('\n').map((line) => /^\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)\s*[:=]\s*(.+?)\s*$/.exec(line));
  return Object.fromEntries(lines.flatMap((found) => (found ? [[found[1]!.toLowerCase(), found[2]!]] : [])));
}

export const showTranslations = (translations: Record<string, string>): string =>
  Object.entries(translations)
    .map(([tag, text]) => `${tag}: ${text}`)
    .join('\n');

/** The terms as a CSV file that can be taken in again. */
export function asCsv(all: readonly Term[]): string {
  const tags = [...new Set(all.flatMap((term) => Object.keys(term.translations)))].sort();
  const cell = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = all.map((term) => [term.term, term.language, term.kind, term.aliases.join('|'), ...tags.map((tag) => term.translations[tag] ?? '')]);
  return [['term', 'language', 'kind', 'aliases', ...tags], ...rows].map((row) => row.map(cell).join(',')).join('\n') + '\n';
}
