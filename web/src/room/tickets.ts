/** Lists of people for tickets, as they are written or come from a spreadsheet, and as they go back into one. */
import type { Ticket } from '../client/protocol';

const LONGEST = 80;

/** One name a line; of a line with several cells the first, without its quotes. */
export function names(text: string): string[] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map((line) => cell(line).replace(/\s+/g, ' ').trim().slice(0, LONGEST))
    .filter(Boolean);
}

function cell(line: string): string {
  const quoted = /^\s*"((?:[^"]|"")*)"/.exec(line);
  return quoted ? quoted[1]!.replaceAll('""', '"') : (line.split(/[,;\t]/)[0] ?? '');
}

/** A file for spreadsheets: names and whole links. What begins like a formula is kept from being one. */
export function sheet(tickets: readonly Ticket[], origin: string, head: readonly string[]): string {
  const quote = (text: string) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const rows = tickets.map((ticket) => [ticket.name, origin + ticket.link]);
  return '\ufeff' + [head, ...rows].map((row) => row.map(quote).join(',')).join('\r\n') + '\r\n';
}
