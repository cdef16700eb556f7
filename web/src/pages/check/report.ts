/** The result as plain text, for somebody who runs the server or the network. */
import { t } from '../../i18n.svelte';
import type { Speed } from './bandwidth';
import type { Presence } from './presence';
import { type Facts, type Kind, loss, type Verdict } from './verdict';

export interface Tried {
  id: string;
  facts: Facts;
  verdict: Verdict;
}

const PLENTY = 100;

/** A number of bits per second as people say it. */
export function speed(value: Speed): string {
  const mega = Math.min(value.bitrate / 1e6, PLENTY);
  const text = t('check.mbits', { value: mega >= 10 ? Math.round(mega) : Math.round(mega * 10) / 10 });
  return value.more || mega === PLENTY ? t('check.at_least', { value: text }) : text;
}

export const nameOf = (kind: Kind, url: string | null): string =>
  kind === 'relay' ? t('check.relay', { url: url ?? '' }) : t(kind === 'udp' ? 'check.udp' : 'check.tcp');

/** What one path's line says after its name. */
export function describe({ facts, verdict }: Tried): string {
  // A relay's own address stands in its name already.
  const where = verdict.where === facts.url ? '' : `${verdict.where}. `;
  if (!verdict.works) return `${where}${t(verdict.why!, verdict.values)}`;
  const trip = facts.roundTripMs === null ? '' : `${t('check.round_trip', { ms: Math.max(1, Math.round(facts.roundTripMs)) })}; `;
  return `${where}${trip}${t('check.lost', { percent: Math.round(loss(facts) * 1000) / 10 })}`;
}

export interface Findings {
  verdict: string;
  tried: readonly Tried[];
  down: Speed | null;
  up: Speed | null;
  microphone: Presence;
  camera: Presence;
}

/** The whole. */
export function report(found: Findings): string {
  const lines = [
    t('check.report_title', { host: location.host }),
    new Date().toISOString(),
    navigator.userAgent,
    '',
    found.verdict,
    '',
    ...found.tried.map((one) => `${t(one.verdict.works ? 'check.works' : 'check.failed')}  ${nameOf(one.facts.kind, one.facts.url)}: ${describe(one)}`),
    '',
    `${t('check.down')}: ${found.down ? speed(found.down) : t('check.not_measured')}`,
    `${t('check.up')}: ${found.up ? speed(found.up) : t('check.not_measured')}`,
    `${t('device.microphone')}: ${t(`check.device_${found.microphone}`)}`,
    `${t('device.camera')}: ${t(`check.device_${found.camera}`)}`,
  ];
  return lines.join('\n');
}
