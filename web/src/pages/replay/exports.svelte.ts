/** Making a file to download: a job on the server, asked for once and watched until it is done. */
import { get, HttpError, post } from '../../site/http';

export type Format = 'mkv' | 'mp4' | 'webm' | 'zip';

/** What the server says of a job (`POST` and `GET /api/recordings/{id}/exports`). */
interface Answer {
  id: string;
  state: 'queued' | 'running' | 'done' | 'failed';
  progress?: number | null;
  url?: string | null;
  bytes?: number | null;
  problem?: string | null;
}

export class ExportJob {
  running = $state(false);
  progress = $state<number | null>(null);
  url = $state<string | null>(null);
  bytes = $state<number | null>(null);
  failure = $state<HttpError | null>(null);
  detail = $state('');
  private stopped = false;

  constructor(
    private readonly recording: string,
    private readonly format: Format,
  ) {}

  async start(): Promise<void> {
    if (this.running) return;
    const base = `/api/recordings/${encodeURIComponent(this.recording)}/exports`;
    Object.assign(this, { running: true, failure: null, detail: '', progress: null });
    try {
      let answer = await post<Answer>(base, { format: this.format });
      for (let wait = 300; !this.take(answer) && !this.stopped; wait = Math.min(wait * 1.5, 3000)) {
        await new Promise((resolve) => setTimeout(resolve, wait));
        answer = await get<Answer>(`${base}/${encodeURIComponent(answer.id)}`);
      }
    } catch (error) {
      this.failure = error instanceof HttpError ? error : new HttpError('server');
    } finally {
      this.running = false;
    }
  }

  stop(): void {
    this.stopped = true;
  }

  /** True when the job is over. */
  private take(answer: Answer): boolean {
    this.progress = answer.progress ?? null;
    if (answer.state === 'failed') {
      this.detail = answer.problem ?? '';
      throw new HttpError('server', 200, 'export', this.detail);
    }
    if (answer.state !== 'done') return false;
    this.url = answer.url ?? null;
    this.bytes = answer.bytes ?? null;
    return true;
  }
}
