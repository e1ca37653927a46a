// A small event source without vscode, so that models can be tested in plain Node.

export interface Disposable {
  dispose(): void;
}

export class Emitter<T> implements Disposable {
  readonly #listeners = new Set<(value: T) => void>();

  readonly event = (listener: (value: T) => void): Disposable => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };

  fire(value: T): void {
    for (const listener of [...this.#listeners]) listener(value);
  }

  dispose(): void {
    this.#listeners.clear();
  }
}

/** Owns what it is given; adding to one that is already disposed disposes at once. */
export class Owner implements Disposable {
  readonly #owned = new Set<Disposable>();
  #isDisposed = false;

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  own<T extends Disposable>(value: T): T {
    if (this.#isDisposed) value.dispose();
    else this.#owned.add(value);
    return value;
  }

  dispose(): void {
    this.#isDisposed = true;
    for (const value of [...this.#owned].reverse()) value.dispose();
    this.#owned.clear();
  }
}
