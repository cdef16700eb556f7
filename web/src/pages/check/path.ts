/** Tries one path: a tone goes up on one connection and comes back on another, both held to that path. */
import { post, remove } from '../../site/http';
import { type Facts, type Kind, only, place, steady, targets } from './verdict';

export interface Path {
  id: string;
  kind: Kind;
  url: string | null;
  username: string | null;
  credential: string | null;
}

const CONNECT_WITHIN = 8_000;
const LISTEN_FOR = 1_500;
const SOUND_WITHIN = 4_000;

type Entry = Record<string, unknown> & { type: string };

/** Facts about the path; never rejects. `check` is the check's place in the API, `/api/check/{check}`. */
export async function tryPath(check: string, path: Path, tone: MediaStreamTrack): Promise<Facts> {
  const facts: Facts = {
    kind: path.kind,
    targets: [],
    url: path.url,
    relayed: null,
    relayError: null,
    refused: false,
    reached: false,
    secured: false,
    returned: 0,
    lost: 0,
    roundTripMs: null,
    used: null,
  };
  const relay = path.kind === 'relay';
  const configuration: RTCConfiguration = {
    bundlePolicy: 'max-bundle',
    iceTransportPolicy: relay ? 'relay' : 'all',
    iceServers: relay ? [{ urls: path.url!, username: path.username!, credential: path.credential! }] : [],
  };
  const up = new RTCPeerConnection(configuration);
  const down = new RTCPeerConnection(configuration);
  const ways = `${check}/paths/${encodeURIComponent(path.id)}`;
  try {
    if (relay) watchRelay(up, facts);
    const connected = Promise.all([settled(up, facts, relay), settled(down, facts, relay)]);
    const sending = up.addTransceiver(tone, { direction: 'sendonly' });
    await up.setLocalDescription(await up.createOffer());
    const begun = await post<{ answer: string; offer: string; revision: number }>(ways, { sdp: up.localDescription!.sdp, mid: sending.mid });
    // A relay carries UDP to the server, however we reach the relay.
    const transport = path.kind === 'tcp' ? 'tcp' : 'udp';
    const answer = only(begun.answer, transport);
    facts.targets = targets(answer);
    await up.setRemoteDescription({ type: 'answer', sdp: steady(answer) });
    await down.setRemoteDescription({ type: 'offer', sdp: only(begun.offer, transport) });
    await down.setLocalDescription(await down.createAnswer());
    await post(`${ways}/answer`, { sdp: down.localDescription!.sdp, revision: begun.revision });
    await connected;
    if (facts.secured) await listen(up, down, facts);
  } catch {
    facts.refused = true;
  } finally {
    up.close();
    down.close();
    // Both sides forget by themselves too; this is only sooner.
    void remove(ways).catch(() => {});
  }
  return facts;
}

function watchRelay(pc: RTCPeerConnection, facts: Facts): void {
  pc.addEventListener('icecandidate', ({ candidate }) => {
    if (candidate?.type === 'relay' && candidate.address) facts.relayed = place(candidate.address, candidate.port ?? 0);
  });
  pc.addEventListener('icecandidateerror', (event) => {
    const { errorCode, errorText } = event as RTCPeerConnectionIceErrorEvent;
    // An answer of the relay says more than one of its addresses being out of reach.
    if (!facts.relayError || errorCode < 700) facts.relayError = { code: errorCode, text: String(errorText ?? '').slice(0, 120) };
  });
}

/** Resolves when the connection stands, has failed, can no longer succeed, or took too long. */
function settled(pc: RTCPeerConnection, facts: Facts, relay: boolean): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, CONNECT_WITHIN);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    pc.addEventListener('iceconnectionstatechange', () => {
      if (pc.iceConnectionState === 'connected' || pc.iceConnectionState === 'completed') facts.reached = true;
    });
    pc.addEventListener('connectionstatechange', () => {
      if (pc.connectionState === 'connected') {
        facts.reached = true;
        facts.secured = true;
      }
      if (pc.connectionState === 'connected' || pc.connectionState === 'failed' || pc.connectionState === 'closed') done();
    });
    pc.addEventListener('icegatheringstatechange', () => {
      if (relay && pc.iceGatheringState === 'complete' && !facts.relayed) done();
    });
  });
}

async function listen(up: RTCPeerConnection, down: RTCPeerConnection, facts: Facts): Promise<void> {
  const until = performance.now() + SOUND_WITHIN;
  let heardAt = 0;
  while (performance.now() < until && !(heardAt && performance.now() - heardAt > LISTEN_FOR)) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const entries = [...((await down.getStats()) as unknown as Map<string, Entry>).values()];
    const inbound = entries.find((entry) => entry.type === 'inbound-rtp');
    facts.returned = Number(inbound?.packetsReceived ?? 0);
    facts.lost = Number(inbound?.packetsLost ?? 0);
    if (facts.returned > 0) heardAt ||= performance.now();
    for (const pc of [up, down]) await measured(pc, facts);
  }
}

/** The address in use, and the shortest round trip seen: longer ones tell of busy computers as much as of the way. */
async function measured(pc: RTCPeerConnection, facts: Facts): Promise<void> {
  const report = (await pc.getStats()) as unknown as Map<string, Entry>;
  const entries = [...report.values()];
  const transport = entries.find((entry) => entry.type === 'transport');
  const pair =
    report.get(String(transport?.selectedCandidatePairId)) ??
    entries.find((entry) => entry.type === 'candidate-pair' && entry.state === 'succeeded' && (entry.nominated || entry.selected));
  const trip = pair?.currentRoundTripTime;
  if (typeof trip === 'number' && trip > 0) facts.roundTripMs = Math.min(facts.roundTripMs ?? Infinity, trip * 1000);
  const remote = report.get(String(pair?.remoteCandidateId));
  const address = remote?.address ?? remote?.ip;
  if (typeof address === 'string') facts.used = place(address, Number(remote?.port));
}
