/** A value that can be watched. It keeps Svelte's store contract without knowing Svelte. */
export class Store<T> {
  private readonly watchers = new Set<(value: T) => void>();

  constructor(private value: T) {}

  get(): T {
    return this.value;
  }

  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const watcher of [...this.watchers]) watcher(value);
  }

  update(change: (value: T) => T): void {
    this.set(change(this.value));
  }

  /** Calls `watcher` now and on every change; returns how to stop. */
  subscribe(watcher: (value: T) => void): () => void {
    this.watchers.add(watcher);
    watcher(this.value);
    return () => void this.watchers.delete(watcher);
  }
}
