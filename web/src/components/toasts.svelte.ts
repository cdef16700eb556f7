/** Short messages at the edge of the page: what happened and what comes next. */
export interface Toast {
  id: number;
  text: string;
  kind: 'note' | 'error';
  action?: { label: string; run: () => void };
}

let next = 0;
export const toastPlace = $state({ stage: false });
export const toasts = $state<Toast[]>([]);

/** Shows a message; errors and messages with an action stay until closed. */
export function toast(text: string, options: { kind?: Toast['kind']; action?: Toast['action']; seconds?: number } = {}): number {
  const id = (next += 1);
  const kind = options.kind ?? 'note';
  if (toasts.length >= 4) toasts.shift();
  toasts.push({ id, text, kind, action: options.action });
  const seconds = options.seconds ?? (kind === 'error' || options.action ? 0 : 5);
  if (seconds > 0) setTimeout(() => closeToast(id), seconds * 1000);
  return id;
}

export function closeToast(id: number): void {
  const at = toasts.findIndex((entry) => entry.id === id);
  if (at >= 0) toasts.splice(at, 1);
}
