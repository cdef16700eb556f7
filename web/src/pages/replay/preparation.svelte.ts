/** Pictures that are still being converted: how far that is, and a word when it is done. */
import { get } from '../../site/http';

interface Answer {
  state: 'queued' | 'running' | 'failed' | 'done';
  progress: number;
}

export class Preparation {
  state = $state<Answer['state']>('queued');
  progress = $state(0);

  /** Asks until it is over; `ready` is called when there is more to see. Returns what ends it. */
  watch(recording: string, headers: Record<string, string>, ready: () => void): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const ask = async () => {
      try {
        const answer = await get<Answer>(`/api/recordings/${encodeURIComponent(recording)}/preparation`, headers);
        if (over) return;
        Object.assign(this, answer);
        if (answer.state === 'done') return ready();
        if (answer.state === 'failed') return;
      } catch {
        // The network, or the way in ended: the player says so better.
      }
      if (!over) timer = setTimeout(() => void ask(), 2000);
    };
    void ask();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }
}
