/**
 * The WebSocket to the server: Hello and Welcome, requests and their answers, heartbeats, and coming back after a loss.
 *
 * It gives up only when the server says so (`Closed` without `retry`) or when `leave` is called. Everything else is a
 * reconnect with growing, jittered pauses, which carries the `resume` secret so that the participant stays the same one.
 */
import { RoomClock } from './clock';
import { type ClientMessage, type Closed, type Error as ErrorMessage, type Hello, type ServerMessage, VERSION, type Welcome } from './protocol';
import { Store } from './store';

const PING_EVERY = 10_000;
const PONG_WITHIN = 8_000;
const PROBE_WITHIN = 3_000;
const CONNECT_WITHIN = 10_000;
const ANSWER_WITHIN = 15_000;
const LONGEST_PAUSE = 8_000;

export type Link = 'connecting' | 'open' | 'reconnecting' | 'closed';
type Body<M> = M extends { type: string } ? Omit<M, 'id'> : never;
export type Outgoing = Body<Exclude<ClientMessage, Hello>>;

/** A request was refused, or there was no way to ask. `code` is one of the protocol's, ``offline`` or ``timeout``. */
export class RequestError extends Error {
  constructor(
    readonly code: ErrorMessage['code'] | 'offline' | 'timeout',
    message: string,
  ) {
    super(message);
  }
}

export interface Introduction {
  grant: string;
  name: string;
  spoken: string | null;
  reads: string | null;
  /** Whether one's own words are captioned; they are if nothing is said. */
  captioned?: boolean;
  /** Whether one's name stands beside them. */
  named?: boolean;
  institution?: string;
}

export interface SignalingOptions {
  url: string;
  introduce: () => Introduction;
  socket?: (url: string) => WebSocket;
  now?: () => number;
  random?: () => number;
}

interface Pending {
  resolve: () => void;
  reject: (reason: RequestError) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** The pause before attempt `attempt` (from 0), in milliseconds: doubling, capped, and spread so that a room does not return at once. */
export function pause(attempt: number, random: number): number {
  return Math.min(LONGEST_PAUSE, 400 * 2 ** attempt) * (0.5 + random / 2);
}

export class Signaling {
  readonly link = new Store<Link>('connecting');
  readonly clock = new RoomClock();
  private socket: WebSocket | null = null;
  private welcomed = false;
  private resume: string | null = null;
  private attempt = 0;
  private nextId = 1;
  private readonly pending = new Map<number, Pending>();
  private readonly listeners = new Set<(message: ServerMessage) => void>();
  private timers = new Set<ReturnType<typeof setTimeout>>();
  private silence: ReturnType<typeof setTimeout> | null = null;
  private again: ReturnType<typeof setTimeout> | null = null;
  private readonly now: () => number;
  private readonly random: () => number;

  constructor(private readonly options: SignalingOptions) {
    this.now = options.now ?? (() => performance.now());
    this.random = options.random ?? Math.random;
  }

  /** Every message from the server, after this object has taken its own part of it. */
  listen(listener: (message: ServerMessage) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  connect(): void {
    if (this.link.get() === 'closed' || this.socket) return;
    this.clear();
    const make = this.options.socket ?? ((url) => new WebSocket(url));
    let socket: WebSocket;
    try {
      socket = make(this.options.url);
    } catch {
      this.lost(null);
      return;
    }
    this.socket = socket;
    this.after(CONNECT_WITHIN, () => this.socket === socket && !this.welcomed && !this.heard && this.lost(socket));
    this.heard = false;
    socket.onopen = () => {
      const me = this.options.introduce();
      this.write({ type: 'hello', version: VERSION, grant: me.grant, name: me.name, resume: this.resume, spoken: me.spoken, reads: me.reads, captioned: me.captioned ?? true, named: me.named ?? true, institution: me.institution ?? '' });
    };
    socket.onmessage = (event) => this.socket === socket && this.receive(event.data);
    socket.onclose = () => this.lost(socket);
    socket.onerror = () => this.lost(socket);
  }

  /** Sends and waits for the server's word that it is done. Rejects with `RequestError`. */
  request(message: Outgoing): Promise<void> {
    if (!this.welcomed) return Promise.reject(new RequestError('offline', 'not connected'));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new RequestError('timeout', `no answer to ${message.type}`));
      }, ANSWER_WITHIN);
      this.pending.set(id, { resolve, reject, timer });
      this.write({ ...message, id } as ClientMessage);
    });
  }

  /** Sends without waiting; false when there is no connection. */
  send(message: Outgoing): boolean {
    if (!this.welcomed) return false;
    this.write(message as ClientMessage);
    return true;
  }

  /** The browser says that the network went or came: find out at once instead of at the next heartbeat. */
  networkChanged(): void {
    if (this.socket && this.welcomed) this.ping(PROBE_WITHIN);
    else if (this.again !== null) {
      this.attempt = 0;
      this.clear();
      this.connect();
    }
  }

  /** A clean goodbye. */
  leave(): void {
    if (this.welcomed || this.heard) this.write({ type: 'leave' });
    this.end();
  }

  /** Room time now, in milliseconds; null before the first exchange. */
  roomNow(): number | null {
    return this.clock.at(this.now());
  }

  private heard = false;

  private receive(data: unknown): void {
    let message: ServerMessage;
    try {
      message = JSON.parse(String(data)) as ServerMessage;
    } catch {
      return;
    }
    this.heard = true;
    if (this.silence !== null) this.cancel(this.silence);
    this.silence = null;
    switch (message.type) {
      case 'waiting':
        if (!this.welcomed) this.beat();
        break;
      case 'welcome':
        this.welcome(message);
        break;
      case 'pong':
        this.clock.sample(message.sent, this.now(), message.now);
        return;
      case 'ack':
        this.settle(message.id, null);
        return;
      case 'error':
        if (message.id != null) this.settle(message.id, new RequestError(message.code, message.message));
        break;
      case 'closed':
        this.closed(message);
        return;
    }
    for (const listener of [...this.listeners]) listener(message);
  }

  private welcome(message: Welcome): void {
    if (!message.resumed) this.clock.reset();
    this.welcomed = true;
    this.attempt = 0;
    this.resume = message.resume;
    this.beat();
    this.link.set('open');
  }

  private closed(message: Closed): void {
    if (message.retry) {
      // The server's own word ("shutdown", say) ends this socket; the resume secret may still be good.
      this.lost(this.socket);
      return;
    }
    this.end();
    for (const listener of [...this.listeners]) listener(message);
  }

  private settle(id: number, problem: RequestError | null): void {
    const pending = this.pending.get(id);
    if (!pending) return;
    this.pending.delete(id);
    clearTimeout(pending.timer);
    if (problem) pending.reject(problem);
    else pending.resolve();
  }

  private beating = false;

  private beat(): void {
    if (this.beating) return;
    this.beating = true;
    const tick = () => {
      this.ping(PONG_WITHIN);
      this.after(PING_EVERY, tick);
    };
    tick();
  }

  private ping(within: number): void {
    const socket = this.socket;
    if (!socket) return;
    this.write({ type: 'ping', sent: this.now() });
    if (this.silence !== null) this.cancel(this.silence);
    this.silence = this.after(within, () => this.lost(socket));
  }

  private lost(socket: WebSocket | null): void {
    if (this.link.get() === 'closed' || (socket !== null && socket !== this.socket)) return;
    this.drop();
    this.link.set('reconnecting');
    const wait = pause(this.attempt, this.random());
    this.attempt += 1;
    this.again = this.after(wait, () => {
      this.again = null;
      this.connect();
    });
  }

  private end(): void {
    this.drop();
    this.link.set('closed');
  }

  private drop(): void {
    this.clear();
    const socket = this.socket;
    this.socket = null;
    this.welcomed = false;
    this.heard = false;
    for (const id of [...this.pending.keys()]) this.settle(id, new RequestError('offline', 'the connection was lost'));
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    try {
      socket.close();
    } catch {
      // Already gone.
    }
  }

  private write(message: ClientMessage): void {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  private after(wait: number, run: () => void): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      run();
    }, wait);
    this.timers.add(timer);
    return timer;
  }

  private cancel(timer: ReturnType<typeof setTimeout>): void {
    clearTimeout(timer);
    this.timers.delete(timer);
  }

  private clear(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.silence = null;
    this.again = null;
    this.beating = false;
  }
}
