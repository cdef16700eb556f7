/** An agenda as it is typed, one item a line. */
import { t } from '../i18n.svelte';

const MOST = 50;
const LONGEST = 120;

/** Its items, and why they cannot be taken; empty: they can. */
export function agendaIn(text: string): { items: string[]; problem: string } {
  const items = text.split('\n').map((line) => line.trim()).filter(Boolean);
  const long = items.find((item) => [...item].length > LONGEST);
  if (items.length > MOST) return { items, problem: t('agenda.many', { count: MOST }) };
  return { items, problem: long === undefined ? '' : t('agenda.long', { count: LONGEST, item: long.slice(0, 40) }) };
}
