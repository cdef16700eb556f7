/** One person's presence in one room: the parts of the client put together. No page, no element: a bot could use it. */
import { Captions } from './captions';
import type { Kind, PublishAnswer, ServerMessage, Source, TrackLabel } from './protocol';
import { Publisher } from './publisher';
import { Reception } from './reception';
import { type Introduction, type Outgoing, RequestError, Signaling } from './signaling';
import { outside, type RoomState, step } from './state';
import { limitation } from './stats';
import { Store } from './store';
import { Subscriber } from './subscriber';
import { View } from './view';

export interface RoomOptions extends Introduction {
  url: string;
  connection?: (config: RTCConfiguration) => RTCPeerConnection;
  socket?: (url: string) => WebSocket;
}

/** What happened, for those who tell people of it; the state itself is in `state`. */
export type Happening =
  | { type: 'muted-by'; source: Source; by: string }
  | { type: 'problem'; about: 'publish' | 'subscribe'; reason: unknown }
  | { type: 'message'; message: ServerMessage };

const ANSWER_WITHIN = 15_000;
const REPORT_EVERY = 3_000;

export class Room {
  readonly state = new Store<RoomState>(outside);
  readonly captions = new Captions();
  readonly signaling: Signaling;
  readonly publisher: Publisher;
  readonly subscriber: Subscriber;
  readonly view: View;
  readonly reception: Reception;
  private readonly reports: ReturnType<typeof setInterval>;
  private readonly happenings = new Set<(happening: Happening) => void>();
  private readonly introduction: Introduction;
  /** The interpreters' channel that one wants to hear. */
  private hears: string | null = null;
  private iceServers: RTCIceServer[] = [];
  private entered = false;
  private awaiting: { resolve: (answer: PublishAnswer) => void; reject: (reason: RequestError) => void } | null = null;

  constructor(options: RoomOptions) {
    this.introduction = { grant: options.grant, name: options.name, spoken: options.spoken, reads: options.reads, captioned: options.captioned, named: options.named, institution: options.institution };
    this.captions.read(options.reads);
    this.signaling = new Signaling({ url: options.url, introduce: () => this.introduction, socket: options.socket });
    const make = options.connection ?? ((config) => new RTCPeerConnection(config));
    const connection = () => make({ iceServers: this.iceServers, bundlePolicy: 'max-bundle' });
    const reachable = () => this.signaling.link.get() === 'open';
    this.publisher = new Publisher(
      {
        offer: (sdp, tracks) => this.offer(sdp, tracks),
        setMuted: (track, muted) => void this.request({ type: 'set-muted', track, muted }).catch(() => {}),
        reachable,
      },
      connection,
      undefined,
      (reason) => this.happen({ type: 'problem', about: 'publish', reason }),
    );
    this.subscriber = new Subscriber(
      {
        answer: (sdp, revision) => void this.signaling.send({ type: 'subscribe-answer', sdp, revision }),
        restart: (rebuild) => void this.signaling.send({ type: 'subscribe-restart', rebuild }),
        reachable,
      },
      connection,
      (reason) => this.happen({ type: 'problem', about: 'subscribe', reason }),
    );
    this.view = new View((tiles) => this.signaling.send({ type: 'view', tiles }));
    this.reception = new Reception((track) => this.view.watched(track));
    this.subscriber.tracks.subscribe((tracks) => this.view.offered([...tracks.values()].filter((track) => track.kind === 'video').map((track) => track.track)));
    this.reports = setInterval(() => void this.report(), REPORT_EVERY);
    this.signaling.listen((message) => this.receive(message));
    this.signaling.link.subscribe((link) => {
      if (link !== 'open') this.failOffer('offline');
    });
  }

  enter(): void {
    this.signaling.connect();
  }

  /** What happens, as it happens. */
  listen(listener: (happening: Happening) => void): () => void {
    this.happenings.add(listener);
    return () => void this.happenings.delete(listener);
  }

  request(message: Outgoing): Promise<void> {
    return this.signaling.request(message);
  }

  /** Whether what one says is captioned, and under one's name, now and after every loss of the connection. */
  setCaptioned(captioned: boolean, named: boolean): Promise<void> {
    Object.assign(this.introduction, { captioned, named });
    return this.request({ type: 'set-captioned', captioned, named });
  }

  /** Which interpreters' channel one hears, now and after every loss of the connection; it need not be there yet. */
  hear(language: string | null): void {
    this.hears = language;
    this.signaling.send({ type: 'hear-channel', language });
  }

  setLanguages(spoken: string | null, reads: string | null): Promise<void> {
    this.introduction.spoken = spoken;
    this.introduction.reads = reads;
    this.captions.read(reads);
    return this.request({ type: 'set-languages', spoken, reads });
  }

  /** Sends a chat line; on a lost connection it is tried again with the same key, so it is said once. */
  async chat(text: string, to: string | null, key: string): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.request({ type: 'send-chat', key, text, to });
      } catch (reason) {
        const transient = reason instanceof RequestError && (reason.code === 'offline' || reason.code === 'timeout');
        if (!transient || attempt >= 2) throw reason;
        await this.reopened(20_000);
      }
    }
  }

  muteParticipant(participant: string, kind: Kind): Promise<void> {
    return this.request({ type: 'mute-participant', participant, kind });
  }

  /** The browser says that the network came or went. */
  networkChanged(online: boolean): void {
    this.signaling.networkChanged();
    if (online && this.signaling.link.get() === 'open') {
      this.publisher.nudge(true);
      this.subscriber.nudge(true);
    }
  }

  leave(): void {
    this.signaling.leave();
    this.end();
  }

  private end(): void {
    clearInterval(this.reports);
    this.view.close();
    this.publisher.close();
    this.subscriber.close();
  }

  /** Tells the server how it looks from here, and lightens the load when this computer cannot keep up. */
  private async report(): Promise<void> {
    const [received, sent] = await Promise.all([this.subscriber.stats(), this.publisher.stats()]).catch(() => [null, null]);
    const limitedBy = sent ? limitation(sent as unknown as Map<string, unknown>) : 'none';
    this.publisher.pressed(limitedBy === 'cpu', performance.now());
    const tracks = this.subscriber.tracks.get();
    const cameras = new Map([...tracks.values()].filter((track) => track.source === 'camera').map((track) => [track.media.id, track.track]));
    const found = received ? this.reception.read(received as unknown as Map<string, unknown>, cameras) : null;
    if (found) this.signaling.send({ type: 'media-report', ...found, limitedBy });
  }

  private receive(message: ServerMessage): void {
    this.state.update((state) => step(state, message));
    switch (message.type) {
      case 'welcome':
        this.captions.applyAll(message.captions);
        this.iceServers = message.iceServers.map((server) => ({
          urls: server.urls,
          ...(server.username != null && { username: server.username }),
          ...(server.credential != null && { credential: server.credential }),
        }));
        this.welcomed(message.resumed);
        break;
      case 'captioned':
        this.captions.apply(message.caption);
        break;
      case 'subscribe-offer':
        void this.subscriber.apply(message);
        break;
      case 'publish-answer':
        this.awaiting?.resolve(message);
        this.awaiting = null;
        break;
      case 'muted-by': {
        const source = this.publisher.sourceOf(message.track);
        if (source) {
          this.publisher.setMuted(source, true);
          this.happen({ type: 'muted-by', source, by: message.by });
        }
        break;
      }
      case 'encodings':
        this.publisher.want(message.track, message.active);
        break;
      case 'joined':
      case 'changed':
        for (const track of message.person.tracks) if (track.muted) this.view.interrupted(track.id);
        break;
      case 'closed':
        this.end();
        break;
    }
    this.happen({ type: 'message', message });
  }

  private welcomed(resumed: boolean): void {
    this.view.resend();
    if (this.hears !== null) this.signaling.send({ type: 'hear-channel', language: this.hears });
    const again = this.entered;
    this.entered = true;
    if (again && resumed) {
      this.publisher.nudge(true);
      this.subscriber.nudge(true);
    } else if (again) {
      this.subscriber.reset();
      this.publisher.rebuild();
    } else this.publisher.nudge(false);
  }

  private offer(sdp: string, tracks: TrackLabel[]): Promise<PublishAnswer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.failOffer('timeout'), ANSWER_WITHIN);
      this.awaiting = {
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: (reason) => {
          clearTimeout(timer);
          reject(reason);
        },
      };
      const mine = this.awaiting;
      this.request({ type: 'publish-offer', sdp, tracks }).catch((reason: RequestError) => {
        if (this.awaiting !== mine) return;
        this.awaiting = null;
        mine.reject(reason);
      });
    });
  }

  private failOffer(code: 'offline' | 'timeout'): void {
    const awaiting = this.awaiting;
    this.awaiting = null;
    awaiting?.reject(new RequestError(code, 'no answer to the offer'));
  }

  private reopened(within: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop = () => {};
      const timer = setTimeout(() => {
        stop();
        reject(new RequestError('offline', 'the connection did not come back'));
      }, within);
      stop = this.signaling.link.subscribe((link) => {
        if (link !== 'open') return;
        clearTimeout(timer);
        queueMicrotask(() => stop());
        resolve();
      });
    });
  }

  private happen(happening: Happening): void {
    for (const listener of [...this.happenings]) listener(happening);
  }
}
