/** The versions of a recording's words: transcribed anew on the server, watched until that is over, and chosen from. */
import { get, HttpError, request } from '../../site/http';

export interface Version {
  id: number;
  model: string | null;
  madeAt: string;
  lines: number;
}
export interface Job {
  model: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  progress: number;
  problem?: string | null;
}
export interface State {
  current: number;
  versions: Version[];
  models: { name: string; title: string; bytes: number }[];
  job: Job | null;
}

const EVERY_MS = 1500;

export class Wordings {
  state = $state.raw<State | null>(null);
  failure = $state<HttpError | null>(null);
  busy = $state(false);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private over = false;

  constructor(
    private readonly recording: string,
    /** Other words count now. */
    private readonly changed: () => void,
  ) {}

  get running(): boolean {
    return this.state?.job?.state === 'queued' || this.state?.job?.state === 'running';
  }

  private get path(): string {
    return `/api/recordings/${encodeURIComponent(this.recording)}/wordings`;
  }

  look(): Promise<void> {
    return this.ask(() => get<State>(this.path));
  }
  begin(model: string): Promise<void> {
    return this.ask(() => request<State>('POST', this.path, { model }));
  }
  choose(current: number): Promise<void> {
    return this.ask(() => request<State>('PUT', this.path, { current }));
  }
  cancel(): Promise<void> {
    return this.ask(() => request<State>('DELETE', this.path));
  }
  stop(): void {
    this.over = true;
    clearTimeout(this.timer);
  }

  private async ask(question: () => Promise<State>): Promise<void> {
    this.busy = true;
    this.failure = null;
    const before = this.state?.current;
    try {
      this.state = await question();
      if (before !== undefined && this.state.current !== before) this.changed();
    } catch (error) {
      this.failure = error instanceof HttpError ? error : new HttpError('server');
    } finally {
      this.busy = false;
    }
    clearTimeout(this.timer);
    if (this.running && !this.over) this.timer = setTimeout(() => void this.look(), EVERY_MS);
  }
}
