/**
 * When to mend a peer connection and how: an ICE restart first, a new connection when that does not help in time, then again
 * with growing pauses. It owns timers and nothing else.
 */
import { Store } from './store';

const DISCONNECTED_FOR = 3_000;
const RESTART_WITHIN = 6_000;
const REBUILD_WITHIN = 8_000;

export type Health = 'new' | 'connected' | 'disconnected' | 'failed';

export class Recovery {
  /** Whether a connection did not come up in its time and another one is tried. */
  readonly struggling = new Store(false);
  private state: Health = 'new';
  private timer: ReturnType<typeof setTimeout> | null = null;
  private rebuilds = 0;
  private stopped = false;
  private begun = false;

  constructor(
    private readonly restart: () => void,
    private readonly rebuild: () => void,
    private readonly reachable: () => boolean,
  ) {}

  /** Tells the state of the connection, as RTCPeerConnection.connectionState has it. */
  report(state: RTCPeerConnectionState): void {
    if (this.stopped) return;
    const health: Health = state === 'connecting' || state === 'new' ? 'new' : state === 'closed' ? 'failed' : state;
    if (health === this.state && health !== 'failed') return;
    this.state = health;
    if (health === 'connected') {
      this.cancel();
      this.rebuilds = 0;
      this.struggling.set(false);
    } else if (health === 'disconnected' && this.timer === null) {
      this.timer = setTimeout(() => this.mend(), DISCONNECTED_FOR);
    } else if (health === 'failed' && this.timer === null) {
      this.mend();
    }
  }

  /** The network changed or the server is back: mend now what is not well. `suspect` also restarts what only looks well. */
  nudge(suspect: boolean): void {
    if (this.stopped || !this.begun || (this.state === 'connected' && !suspect)) return;
    if (this.state === 'new' && this.timer !== null) return; // It still has its time.
    this.cancel();
    this.mend();
  }

  /** A new connection was begun: it has its time to come up. */
  began(): void {
    this.cancel();
    this.begun = true;
    this.state = 'new';
    this.watch(REBUILD_WITHIN * 2 ** Math.min(this.rebuilds, 3));
  }

  /** There is nothing to connect for. */
  idle(): void {
    this.cancel();
    this.struggling.set(false);
    this.begun = false;
    this.state = 'new';
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  private mend(): void {
    this.cancel();
    if (!this.reachable()) return; // `nudge` comes when the server is back.
    this.watch(RESTART_WITHIN);
    this.restart();
  }

  private watch(within: number): void {
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.state === 'connected' || !this.reachable()) return;
      this.rebuilds += 1;
      this.struggling.set(true);
      this.began();
      this.rebuild();
    }, within);
  }

  private cancel(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
