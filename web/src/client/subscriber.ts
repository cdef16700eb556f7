/** What we receive: offers come from the server with a revision, we answer; m-lines are mapped to tracks by the offer's list. */
import type { SubscribeOffer, SubscribedTrack } from './protocol';
import { Recovery } from './recovery';
import { withOpusNack } from './sdp';
import { Store } from './store';

export interface SubscribeChannel {
  answer(sdp: string, revision: number): void;
  restart(rebuild: boolean): void;
  reachable(): boolean;
}

export interface RemoteTrack extends SubscribedTrack {
  media: MediaStreamTrack;
}

export class Subscriber {
  /** By track id. */
  readonly tracks = new Store<ReadonlyMap<string, RemoteTrack>>(new Map());
  readonly state = new Store<RTCPeerConnectionState>('new');
  private pc: RTCPeerConnection | null = null;
  private next: SubscribeOffer | null = null;
  private working = false;
  private closed = false;
  readonly recovery: Recovery;

  constructor(
    private readonly channel: SubscribeChannel,
    private readonly connection: () => RTCPeerConnection,
    private readonly problem: (reason: unknown) => void = () => {},
  ) {
    this.recovery = new Recovery(
      () => channel.restart(false),
      () => channel.restart(true),
      () => channel.reachable(),
    );
  }

  /** Applies an offer; one that is overtaken while another is at work is skipped, as the newer one says it all. */
  async apply(offer: SubscribeOffer): Promise<void> {
    if (this.next?.rebuild && !offer.rebuild) offer = { ...offer, rebuild: true };
    this.next = offer;
    if (this.working) return;
    this.working = true;
    try {
      while (this.next && !this.closed) {
        const now: SubscribeOffer = this.next;
        this.next = null;
        try {
          await this.once(now);
        } catch (reason) {
          this.problem(reason);
          this.drop();
          this.recovery.began(); // No connection in time: it asks for a new one.
        }
      }
    } finally {
      this.working = false;
    }
  }

  /** We are somebody new to the server: what there was is void, and it will offer again. */
  reset(): void {
    this.next = null;
    this.drop();
    this.recovery.idle();
  }

  nudge(suspect: boolean): void {
    if (this.pc) this.recovery.nudge(suspect);
  }

  stats(): Promise<RTCStatsReport> | null {
    return this.pc?.getStats() ?? null;
  }

  close(): void {
    this.closed = true;
    this.recovery.stop();
    this.drop();
  }

  private async once(offer: SubscribeOffer): Promise<void> {
    if (offer.rebuild) this.drop();
    const pc = this.ensure();
    await pc.setRemoteDescription({ type: 'offer', sdp: offer.sdp });
    const answer = await pc.createAnswer();
    // A browser that takes no changes of its answer does without retransmitted sound.
    await pc
      .setLocalDescription({ type: 'answer', sdp: withOpusNack(answer.sdp ?? '') })
      .catch(() => pc.setLocalDescription(answer));
    if (pc !== this.pc || this.closed) return;
    this.channel.answer(pc.localDescription!.sdp, offer.revision);
    const byMid = new Map(pc.getTransceivers().map((transceiver) => [transceiver.mid, transceiver.receiver.track]));
    const tracks = new Map<string, RemoteTrack>();
    for (const track of offer.tracks) {
      const media = byMid.get(track.mid);
      if (media) tracks.set(track.track, { ...track, media });
    }
    this.tracks.set(tracks);
    if (tracks.size === 0 && pc.connectionState === 'new') this.recovery.idle();
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

  private drop(): void {
    const pc = this.pc;
    this.pc = null;
    this.tracks.set(new Map());
    if (!pc) return;
    pc.onconnectionstatechange = null;
    pc.close();
    this.state.set('closed');
  }
}
