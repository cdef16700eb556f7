/** What to say about somebody's own connection: plain words from the server's figures. Pure. */
import type { Quality } from '../client/protocol';
import type { MessageKey } from '../i18n.svelte';

export interface Said {
  key: MessageKey;
  values?: Record<string, string | number>;
}

/** Share of packets lost from which repairing is worth a word. */
const NOTICED = 0.01;

/** What the server and the browser do about it. */
export function measures(quality: Quality, relieved: ReadonlySet<'shed' | 'cheaper'>): Said[] {
  const said: Said[] = [];
  if (quality.reduced > 0) said.push({ key: 'quality.doing_reduced', values: { count: quality.reduced } });
  if (quality.publishLoss >= NOTICED || quality.subscribeLoss >= NOTICED) said.push({ key: 'quality.doing_repair' });
  if (relieved.has('cheaper')) said.push({ key: 'quality.doing_cheaper' });
  else if (relieved.has('shed')) said.push({ key: 'quality.doing_shed' });
  else if (quality.limitedBy === 'bandwidth') said.push({ key: 'quality.doing_smaller' });
  return said.length > 0 ? said : [{ key: 'quality.doing_nothing' }];
}

/** What the person can try. */
export function advice(quality: Quality): Said[] {
  const said: Said[] = [];
  if (quality.level < 3 && (quality.limitedBy !== 'cpu' || quality.publishLevel < 3)) said.push({ key: 'quality.try_network' });
  if (quality.limitedBy === 'cpu') said.push({ key: 'quality.try_cpu' });
  return said;
}

/** Bit/s for people. */
export function rate(bits: number, language: string): string {
  const mega = bits / 1e6;
  return `${(mega >= 10 ? Math.round(mega) : Math.round(mega * 10) / 10).toLocaleString(language)} Mbit/s`;
}
