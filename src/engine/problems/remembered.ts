/**
 * What is found out once and asked for often, by key where there are several. Who asks while it is being found out waits for
 * the same answer. A failure is told to all who wait and is not kept: the next one to ask tries again.
 */
export class Remembered<T> {
  readonly #held = new Map<string, Promise<T>>();

  get(find: () => Promise<T>, key = ''): Promise<T> {
    const held = this.#held.get(key);
    if (held !== undefined) return held;
    const found = find();
    this.#held.set(key, found);
    found.catch(() => {
      // It may have been forgotten, and found out again, meanwhile.
      if (this.#held.get(key) === found) this.#held.delete(key);
    });
    return found;
  }

  /** The next one to ask finds it out anew. */
  forget(key = ''): void {
    this.#held.delete(key);
  }
}
