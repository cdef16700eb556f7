/**
 * What we send: one RTCPeerConnection, one sendonly m-line per source, offers made here. Muting a microphone disables its track;
 * a camera that is off gives its device back and returns through replaceTrack, so neither needs a new offer.
 */
import { activate, encodingsFor, HINTS, preferResolution, ridsOf, sizesOf } from './encodings';
import type { Source, TrackLabel } from './protocol';
import { Recovery } from './recovery';
import { CpuRelief } from './relief';
import { videoPreference, withOpusOptions } from './sdp';
import { isWebKit } from './webkit';
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
  /** Encodings that somebody wants, by rid; null before the server has said. */
  wanted: ReadonlySet<string> | null;
  /** Encodings that this computer cannot manage. */
  shed: Set<string>;
  /** How many sizes the m-line was made for. */
  sizes: number;
  /** Changes of the sender's parameters, one after the other: each must start from what the one before left. */
  tuning: Promise<void>;
}

export type Published = Readonly<Partial<Record<Source, { id: string | null; muted: boolean }>>>;

const AUDIO: ReadonlySet<Source> = new Set<Source>(['microphone', 'screen-audio']);

export class Publisher {
  readonly published = new Store<Published>({});
  readonly state = new Store<RTCPeerConnectionState>('new');
  private pc: RTCPeerConnection | null = null;
  private readonly slots = new Map<Source, Slot>();
  /** What this computer cannot manage: sends the largest picture, or the codec of choice. */
  readonly relieved = new Store<ReadonlySet<'shed' | 'cheaper'>>(new Set());
  private readonly relief = new CpuRelief();
  readonly recovery: Recovery;
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
    if ('contentHint' in track) track.contentHint = HINTS[source];
    const slot = this.slot(source);
    slot.track = track;
    slot.muted = muted;
    track.enabled = !muted;
    const sizes = source === 'camera' ? sizesOf(track.getSettings?.() ?? {}) : slot.sizes;
    if (sizes !== slot.sizes) {
      slot.sizes = sizes;
      this.renew(slot);
    }
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

  /** The server says which encodings of a track somebody wants. */
  want(id: string, active: readonly string[]): void {
    for (const slot of this.slots.values()) {
      if (slot.id !== id) continue;
      slot.wanted = new Set(active);
      this.tune(slot);
    }
  }

  /** `limited`: the browser says that the processor holds the camera back. `now` in milliseconds. Call every second or two. */
  pressed(limited: boolean, now: number): void {
    const camera = this.slots.get('camera');
    const step = this.relief.read(limited && !!camera?.transceiver && !camera.muted, now);
    if (!step || !camera) return;
    this.relieved.set(new Set([...this.relieved.get(), step]));
    if (step === 'cheaper') {
      camera.shed.clear();
      this.renew(camera);
      void this.negotiate();
    } else {
      const rids = ridsOf(camera.transceiver!.sender.getParameters());
      if (rids.length > 1) camera.shed.add(rids.at(-1)!);
    }
    this.tune(camera);
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
      slot = { source, track: null, muted: false, active: false, transceiver: null, id: null, wanted: null, shed: new Set(), sizes: 3, tuning: Promise.resolve() };
      this.slots.set(source, slot);
    }
    return slot;
  }

  /** One offer at a time; wishes that come meanwhile are gathered into the next one. */
  private async negotiate(): Promise<void> {
    this.wanted = true;
    if (this.working || this.closed) return;
    this.working = true;
    while (this.wanted && !this.closed && this.channel.reachable()) {
      this.wanted = false;
      try {
        await this.offerOnce();
      } catch (reason) {
        if (!this.channel.reachable()) this.wanted = true; // Once more when the server is back.
        else await this.refused(reason);
      }
    }
    this.working = false;
  }

  /** What was wished meanwhile still gets its offer; the one that failed is not tried again. */
  private async refused(reason: unknown): Promise<void> {
    this.problem(reason);
    if (this.pc && this.pc.signalingState !== 'stable') await this.pc.setLocalDescription({ type: 'rollback' }).catch(() => this.dropConnection());
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
      // By what the offer says: a source may have ended since it was made.
      if (mid == null || slot.transceiver?.direction !== 'sendonly') continue;
      const { width, height } = slot.track?.kind === 'video' ? slot.track.getSettings() : {};
      labels.push({ mid, source: slot.source, ...(width && height && { width: Math.round(width), height: Math.round(height) }) });
    }
    const answer = await this.channel.offer(pc.localDescription!.sdp, labels);
    if (pc !== this.pc) return; // Rebuilt meanwhile.
    await pc.setRemoteDescription({ type: 'answer', sdp: withOpusOptions(answer.sdp) });
    for (const slot of this.slots.values()) {
      const mid = slot.transceiver?.mid;
      const id = slot.active && mid != null ? (answer.tracks[mid] ?? null) : null;
      if (id !== slot.id) slot.wanted = null; // Another track to the server, which wants all of it at first.
      slot.id = id;
      this.tune(slot);
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
      this.preferCodecs(slot);
      if (slot.transceiver.direction !== 'sendonly') slot.transceiver.direction = 'sendonly';
      if (slot.transceiver.sender.track !== slot.track) await slot.transceiver.sender.replaceTrack(slot.track);
      return;
    }
    const kind = AUDIO.has(slot.source) ? 'audio' : 'video';
    for (const sendEncodings of encodingsFor(slot.source, slot.sizes)) {
      try {
        slot.transceiver = pc.addTransceiver(slot.track ?? kind, { direction: 'sendonly', sendEncodings });
        break;
      } catch {
        // This browser does not know some of it; the next is plainer.
      }
    }
    slot.transceiver ??= pc.addTransceiver(slot.track ?? kind, { direction: 'sendonly' });
    this.preferCodecs(slot);
    if (slot.source === 'screen') this.change(slot, (parameters) => (preferResolution(parameters), true));
    await slot.tuning; // Firefox wants parameters set before the first offer.
  }

  /** Gives a source an m-line of its own: on the old one the encodings' SSRCs stay, and browsers no longer say which is which. */
  private renew(slot: Slot): void {
    slot.transceiver?.stop();
    slot.transceiver = null;
  }

  private preferCodecs(slot: Slot): void {
    if (AUDIO.has(slot.source) || !slot.transceiver?.setCodecPreferences) return;
    const codecs = this.capabilities('video')?.codecs;
    try {
      // WebKit takes several VP9 encodings for layers of one, and has H.264 in hardware everywhere.
      const cheap = isWebKit() || (slot.source === 'camera' && this.relieved.get().has('cheaper'));
      if (codecs) slot.transceiver.setCodecPreferences(videoPreference(codecs, cheap));
    } catch {
      // The browser's own order is good enough.
    }
  }

  private tune(slot: Slot): void {
    this.change(slot, (parameters) => {
      const rids = ridsOf(parameters);
      // The smallest is always sent, and all of them until the server has said what is wanted. What this computer cannot
      // manage is made up for by the next smaller one.
      const wanted = new Set(rids.slice(0, 1));
      rids.forEach((rid, i) => {
        if (!(slot.wanted?.has(rid) ?? true)) return;
        while (slot.shed.has(rids[i]!) && i > 0) i -= 1;
        wanted.add(rids[i]!);
      });
      return activate(parameters, wanted);
    });
  }

  private change(slot: Slot, edit: (parameters: RTCRtpSendParameters) => boolean): void {
    slot.tuning = slot.tuning.then(async () => {
      const sender = slot.transceiver?.sender;
      const parameters = sender?.getParameters?.();
      // A browser that refuses goes on as it was: it sends more than somebody needs.
      if (sender && parameters && edit(parameters)) await sender.setParameters(parameters).catch(() => {});
    });
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
