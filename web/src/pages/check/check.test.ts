import { describe, expect, it } from 'vitest';
import { measure } from './bandwidth';
import { type Facts, judge, loss, only, overall, place, steady, targets } from './verdict';

const facts = (more: Partial<Facts>): Facts => ({
  kind: 'udp',
  targets: ['192.0.2.7:8081'],
  url: null,
  relayed: null,
  relayError: null,
  refused: false,
  reached: false,
  secured: false,
  returned: 0,
  lost: 0,
  roundTripMs: null,
  used: null,
  ...more,
});
const relay = (more: Partial<Facts>) => facts({ kind: 'relay', url: 'turn:turn.example.org:3478', ...more });

describe('a path is judged by what was seen', () => {
  it.each([
    [facts({}), 'check.why_udp', '192.0.2.7:8081'],
    [facts({ kind: 'tcp' }), 'check.why_tcp', '192.0.2.7:8081'],
    [facts({ refused: true }), 'check.why_server', '192.0.2.7:8081'],
    [facts({ reached: true }), 'check.why_secure', '192.0.2.7:8081'],
    [facts({ reached: true, secured: true, used: '192.0.2.7:8081' }), 'check.why_silent', '192.0.2.7:8081'],
    [relay({}), 'check.why_relay_unreachable', 'turn:turn.example.org:3478'],
    [relay({ relayError: { code: 701, text: '' } }), 'check.why_relay_unreachable', 'turn:turn.example.org:3478'],
    [relay({ relayError: { code: 401, text: 'Unauthorized' } }), 'check.why_relay_credentials', 'turn:turn.example.org:3478'],
    [relay({ relayError: { code: 486, text: 'Quota' } }), 'check.why_relay_quota', 'turn:turn.example.org:3478'],
    [relay({ relayError: { code: 500, text: 'Oops' } }), 'check.why_relay_refused', 'turn:turn.example.org:3478'],
    [relay({ relayed: '198.51.100.1:50000' }), 'check.why_relay_media', '192.0.2.7:8081'],
  ] as const)('%#: %s', (seen, why, where) => {
    const verdict = judge(seen);
    expect([verdict.works, verdict.why, verdict.where]).toEqual([false, why, where]);
  });

  it('works when sound came back, and counts what did not', () => {
    const seen = facts({ reached: true, secured: true, returned: 90, lost: 10, used: '192.0.2.7:8081' });
    expect(judge(seen)).toEqual({ works: true, where: '192.0.2.7:8081', why: null, values: {} });
    expect(loss(seen)).toBeCloseTo(0.1);
    expect(loss(facts({}))).toBe(0);
    expect(loss(facts({ returned: 5, lost: -3 }))).toBe(0);
  });

  it('sums up by the best way that works', () => {
    const result = (seen: Facts) => ({ facts: seen, verdict: judge(seen) });
    const through = { reached: true, secured: true, returned: 9 };
    expect(overall([result(facts(through)), result(facts({ kind: 'tcp' }))]).kind).toBe('good');
    expect(overall([result(facts({})), result(facts({ kind: 'tcp', ...through }))]).key).toBe('check.all_tcp');
    expect(overall([result(facts({})), result(relay({ relayed: 'x', ...through }))]).key).toBe('check.all_relay');
    expect(overall([result(facts({})), result(relay({}))]).kind).toBe('danger');
    expect(overall([]).kind).toBe('danger');
  });
});

describe('session descriptions', () => {
  const sdp = [
    'v=0',
    'a=candidate:1 1 udp 2130706431 192.0.2.7 8081 typ host',
    'a=candidate:2 1 tcp 2105458943 192.0.2.7 8081 typ host tcptype passive',
    'a=candidate:3 1 UDP 1 2001:db8::1 8081 typ host',
    'a=fmtp:111 minptime=10;usedtx=1',
    '',
  ].join('\r\n');

  it('keep one transport', () => {
    expect(only(sdp, 'udp')).not.toContain('tcptype');
    expect(only(sdp, 'udp').split('\r\n')).toHaveLength(5);
    expect(only(sdp, 'tcp').match(/a=candidate/g)).toHaveLength(1);
    expect(only(sdp, 'tcp')).toContain('a=fmtp');
  });

  it('name their candidates', () => {
    expect(targets(sdp)).toEqual(['192.0.2.7:8081', '[2001:db8::1]:8081']);
    expect(place('::1', 5)).toBe('[::1]:5');
    expect(targets('')).toEqual([]);
    expect(steady(sdp)).toContain('usedtx=0');
  });
});

describe('bandwidth', () => {
  const line = (bitsPerMs: number, fail = Infinity) => {
    const sizes: number[] = [];
    return { sizes, transfer: async (bytes: number) => (sizes.push(bytes), bytes >= fail ? Promise.reject(new Error()) : (bytes * 8) / bitsPerMs) };
  };

  it('stops at the first transfer that is long enough', async () => {
    const slow = line(500);
    expect(await measure(slow.transfer)).toEqual({ bitrate: 500_000, more: false });
    expect(slow.sizes).toHaveLength(1);
    const fair = line(5_000);
    expect((await measure(fair.transfer))?.bitrate).toBeCloseTo(5_000_000);
    expect(fair.sizes).toHaveLength(3);
  });

  it('says "at least" when nothing was long enough', async () => {
    expect(await measure(line(1_000_000).transfer)).toMatchObject({ more: true });
  });

  it('keeps what it knows when a transfer fails', async () => {
    expect(await measure(line(5_000, 256 << 10).transfer)).toMatchObject({ bitrate: 5_000_000 });
    expect(await measure(line(5_000, 1).transfer)).toBeNull();
  });
});
