/** What a tried path tells, in words: facts in, message keys out. Nothing here touches the network or the clock. */
import type { MessageKey } from '../../i18n.svelte';

export type Kind = 'udp' | 'tcp' | 'relay';

/** What was seen while a path was tried. Addresses are `host:port`. */
export interface Facts {
  kind: Kind;
  /** The server's addresses that this path leads to. */
  targets: string[];
  /** The TURN server, for a relay. */
  url: string | null;
  /** The address that the relay gave us. */
  relayed: string | null;
  /** The last error of the relay: STUN's code, or 701 when it could not be reached. */
  relayError: { code: number; text: string } | null;
  /** Our own server would not start the path. */
  refused: boolean;
  reached: boolean;
  secured: boolean;
  returned: number;
  lost: number;
  roundTripMs: number | null;
  /** The address that was used in the end. */
  used: string | null;
}

export interface Verdict {
  works: boolean;
  /** The candidate that it is about. */
  where: string;
  why: MessageKey | null;
  values: Record<string, string | number>;
}

const credentials = new Set([401, 403, 437, 438, 441]);
const quota = new Set([486, 508]);

/** Whether a path works, and if not, which candidate failed and why. */
export function judge(facts: Facts): Verdict {
  const address = facts.targets.join(', ') || '-';
  const where = facts.used ?? (facts.kind === 'relay' ? `${facts.url ?? ''}` : address);
  const fails = (why: MessageKey, at = where, values: Verdict['values'] = {}): Verdict => ({ works: false, where: at, why, values });
  if (facts.refused) return fails('check.why_server');
  if (facts.kind === 'relay' && !facts.relayed) {
    const code = facts.relayError?.code ?? 701;
    if (credentials.has(code)) return fails('check.why_relay_credentials', where, { code });
    if (quota.has(code)) return fails('check.why_relay_quota', where, { code });
    if (code >= 300 && code < 700) return fails('check.why_relay_refused', where, { code, text: facts.relayError?.text ?? '' });
    return fails('check.why_relay_unreachable');
  }
  if (!facts.reached) {
    if (facts.kind === 'relay') return fails('check.why_relay_media', address, { relay: facts.relayed ?? '', address });
    return fails(facts.kind === 'udp' ? 'check.why_udp' : 'check.why_tcp', address);
  }
  if (!facts.secured) return fails('check.why_secure');
  if (facts.returned === 0) return fails('check.why_silent');
  return { works: true, where, why: null, values: {} };
}

/** Share of the packets that came back too late or never, 0 to 1. */
export const loss = (facts: Facts): number => {
  const all = facts.returned + Math.max(0, facts.lost);
  return all ? Math.max(0, facts.lost) / all : 0;
};

/** The whole, in one message: what a person can expect of a call. */
export function overall(results: readonly { facts: Facts; verdict: Verdict }[]): { key: MessageKey; kind: 'good' | 'look' | 'danger' } {
  const works = (kind: Kind) => results.some((one) => one.facts.kind === kind && one.verdict.works);
  if (works('udp')) return { key: 'check.all_good', kind: 'good' };
  if (works('tcp')) return { key: 'check.all_tcp', kind: 'look' };
  if (works('relay')) return { key: 'check.all_relay', kind: 'look' };
  return { key: 'check.all_blocked', kind: 'danger' };
}

/** Keeps the candidates of one transport in a session description, so that only that way can be taken. */
export function only(sdp: string, transport: 'udp' | 'tcp'): string {
  return sdp
    .split('\r\n')
    .filter((line) => !line.startsWith('a=candidate:') || line.split(' ')[2]?.toLowerCase() === transport)
    .join('\r\n');
}

/** `host:port` of every candidate in a session description, once each. */
export function targets(sdp: string): string[] {
  const found = sdp
    .split('\r\n')
    .filter((line) => line.startsWith('a=candidate:'))
    .map((line) => line.split(' '))
    .map((parts) => place(parts[4] ?? '', parts[5] ?? ''));
  return [...new Set(found)];
}

/** An address and a port as people write them. */
export const place = (address: string, port: string | number): string => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);

/** Asks for a packet every 20 ms even of a sound that does not change: silence would be left out otherwise. */
export const steady = (sdp: string): string => sdp.replace(/usedtx=1/g, 'usedtx=0');
