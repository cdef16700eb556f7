/**
 * What we send: one RTCPeerConnection, one sendonly m-line per source, offers made here. Muting a microphone disables its track;
 * a camera that is off gives its device back and returns through replaceTrack, so neither needs a new offer.
 */
import type { Source, TrackLabel } from './protocol';
import { Recovery } from './recovery';
import { videoPreference, withOpusOptions } from './sdp';
import { Store } from './store';

export interface PublishChannel {
  /** Sends an offer and resolves with the answer; rejects when it was refused or the connection is lost. */
  offer(sdp: string, tracks: TrackLabel[]): Promise<{ sdp: string; tracks: Record<string, string> }>;
  setMuted(track: string, muted: boolean): void;
  reachable(): boolean;
}

interface Slot {
  source: Source;
  track: MediaStreamTrack | null;
  muted: boolean;
  /** False: the m-line is there but unused (a screen share that ended). */
  active: boolean;
  transceiver: RTCRtpTransceiver | null;
  id: string | null;
}

export type Published = Readonly<Partial<Record<Source, { id: string | null; muted: boolean }>>>;

const LIMITS: Record<Source, RTCRtpEncodingParameters> = {
  microphone: { maxBitrate: 40_000, priority: 'high', networkPriority: 'high' },
  camera: { maxBitrate: 1_500_000, maxFramerate: 30 },
  screen: { maxBitrate: 2_500_000, maxFramerate: 15 },
  'screen-audio': { maxBitrate: 96_000 },
};
const AUDIO: ReadonlySet<Source> = new Set<Source>(['microphone', 'screen-audio']);

export class Publisher {
  readonly published = new Store<Published>({});
  readonly state = new Store<RTCPeerConnectionState>('new');
  private pc: RTCPeerConnection | null = null;
  private readonly slots = new Map<Source, Slot>();
  private readonly recovery: Recovery;
  private working = false;
  private wanted = false;
  private closed = false;

  constructor(
    private readonly channel: PublishChannel,
    private readonly connection: () => RTCPeerConnection,
    private readonly capabilities: (kind: string) => RTCRtpCapabilities | null = (kind) => RTCRtpSender.getCapabilities(kind),
    private readonly problem: (reason: unknown) => void = () => {},
  ) {
    this.recovery = new Recovery(
      () => {
        this.pc?.restartIce();
        void this.negotiate();
      },
      () => this.rebuild(),
      () => channel.reachable(),
    );
  }

  /** Publishes a track for a source, or swaps the one that is there without a new offer. */
  async publish(source: Source, track: MediaStreamTrack, muted = false): Promise<void> {
    if ('contentHint' in track) track.contentHint = source === 'screen' ? 'detail' : source === 'camera' ? 'motion' : source === 'microphone' ? 'speech' : '';
    const slot = this.slot(source);
    slot.track = track;
    slot.muted = muted;
    track.enabled = !muted;
    if (slot.transceiver && slot.active) {
      await slot.transceiver.sender.replaceTrack(track);
      this.tellMuted(slot);
      this.changed();
      return;
    }
    slot.active = true;
    this.changed();
    await this.negotiate();
  }

  /** Mutes or unmutes a source that has a track. */
  setMuted(source: Source, muted: boolean): void {
    const slot = this.slots.get(source);
    if (!slot || !slot.active) return;
    slot.muted = muted;
    if (slot.track) slot.track.enabled = !muted;
    this.tellMuted(slot);
    this.changed();
  }

  /** Keeps the m-line, gives the device back: for a camera that is switched off. */
  async release(source: Source): Promise<void> {
    const slot = this.slots.get(source);
    if (!slot || !slot.active) return;
    slot.muted = true;
    slot.track?.stop();
    slot.track = null;
    this.tellMuted(slot);
    this.changed();
    await slot.transceiver?.sender.replaceTrack(null);
  }

  /** Ends a source: others see its track go. */
  async unpublish(source: Source): Promise<void> {
    const slot = this.slots.get(source);
    if (!slot || !slot.active) return;
    slot.active = false;
    slot.track?.stop();
    slot.track = null;
    slot.id = null;
    this.changed();
    await slot.transceiver?.sender.replaceTrack(null);
    await this.negotiate();
  }

  track(source: Source): MediaStreamTrack | null {
    return this.slots.get(source)?.track ?? null;
  }

  /** The source a track id belongs to. */
  sourceOf(id: string): Source | null {
    for (const slot of this.slots.values()) if (slot.id === id) return slot.source;
    return null;
  }

  /** We are somebody new to the server (no resume), or everything must start again. */
  rebuild(): void {
    this.dropConnection();
    if (this.slots.size > 0) void this.negotiate();
  }

  /** The server is reachable again; `suspect`: the network changed under the connection. */
  nudge(suspect: boolean): void {
    if (this.wanted) void this.negotiate();
    else this.recovery.nudge(suspect);
  }

  stats(): Promise<RTCStatsReport> | null {
    return this.pc?.getStats() ?? null;
  }

  close(): void {
    this.closed = true;
    this.recovery.stop();
    this.dropConnection();
    for (const slot of this.slots.values()) slot.track?.stop();
    this.slots.clear();
    this.changed();
  }

  private slot(source: Source): Slot {
    let slot = this.slots.get(source);
    if (!slot) {
      slot = { source, track: null, muted: false, active: false, transceiver: null, id: null };
      this.slots.set(source, slot);
    }
    return slot;
  }

  /** One offer at a time; wishes that come meanwhile are gathered into the next one. */
  private async negotiate(): Promise<void> {
    this.wanted = true;
    if (this.working || this.closed) return;
    this.working = true;
    try {
      while (this.wanted && !this.closed && this.channel.reachable()) {
        this.wanted = false;
        await this.offerOnce();
      }
    } catch (reason) {
      if (this.channel.reachable()) {
        this.problem(reason);
        if (this.pc && this.pc.signalingState !== 'stable') await this.pc.setLocalDescription({ type: 'rollback' }).catch(() => this.dropConnection());
      } else this.wanted = true; // Once more when the server is back.
    } finally {
      this.working = false;
    }
  }

  private async offerOnce(): Promise<void> {
    const pc = this.ensure();
    for (const slot of this.slots.values()) await this.attach(pc, slot);
    if (pc.getTransceivers().length === 0) return;
    if (pc.signalingState === 'have-local-offer') await pc.setLocalDescription({ type: 'rollback' });
    await pc.setLocalDescription(await pc.createOffer());
    const labels: TrackLabel[] = [];
    for (const slot of this.slots.values()) {
      const mid = slot.transceiver?.mid;
      if (slot.active && mid != null) labels.push({ mid, source: slot.source });
    }
    const answer = await this.channel.offer(pc.localDescription!.sdp, labels);
    if (pc !== this.pc) return; // Rebuilt meanwhile.
    await pc.setRemoteDescription({ type: 'answer', sdp: withOpusOptions(answer.sdp) });
    for (const slot of this.slots.values()) {
      const mid = slot.transceiver?.mid;
      slot.id = slot.active && mid != null ? (answer.tracks[mid] ?? null) : null;
      if (slot.muted) this.tellMuted(slot);
    }
    this.changed();
  }

  private async attach(pc: RTCPeerConnection, slot: Slot): Promise<void> {
    if (!slot.active) {
      if (slot.transceiver && slot.transceiver.direction !== 'inactive') slot.transceiver.direction = 'inactive';
      return;
    }
    if (slot.transceiver) {
      if (slot.transceiver.direction !== 'sendonly') slot.transceiver.direction = 'sendonly';
      if (slot.transceiver.sender.track !== slot.track) await slot.transceiver.sender.replaceTrack(slot.track);
      return;
    }
    const kind = AUDIO.has(slot.source) ? 'audio' : 'video';
    const init: RTCRtpTransceiverInit = { direction: 'sendonly', sendEncodings: [LIMITS[slot.source]] };
    slot.transceiver = pc.addTransceiver(slot.track ?? kind, init);
    const codecs = kind === 'video' ? this.capabilities('video')?.codecs : undefined;
    try {
      if (codecs && slot.transceiver.setCodecPreferences) slot.transceiver.setCodecPreferences(videoPreference(codecs));
    } catch {
      // The browser's own order is good enough.
    }
  }

  private ensure(): RTCPeerConnection {
    if (this.pc) return this.pc;
    const pc = this.connection();
    this.pc = pc;
    this.recovery.began();
    pc.onconnectionstatechange = () => {
      if (pc !== this.pc) return;
      this.state.set(pc.connectionState);
      this.recovery.report(pc.connectionState);
    };
    return pc;
  }

  private dropConnection(): void {
    const pc = this.pc;
    this.pc = null;
    for (const slot of this.slots.values()) {
      slot.transceiver = null;
      slot.id = null;
    }
    if (!pc) return;
    pc.onconnectionstatechange = null;
    pc.close();
    this.state.set('closed');
  }

  private tellMuted(slot: Slot): void {
    if (slot.id) this.channel.setMuted(slot.id, slot.muted);
  }

  private changed(): void {
    const now: Partial<Record<Source, { id: string | null; muted: boolean }>> = {};
    for (const slot of this.slots.values()) if (slot.active) now[slot.source] = { id: slot.id, muted: slot.muted };
    this.published.set(now);
  }
}
