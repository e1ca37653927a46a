import * as v from 'valibot';

/** What a rollout page shows. `folder` is the workspace root, `environment` null for runs that deploy nowhere. */
const shownPage = v.object({
  folder: v.string(),
  environment: v.nullable(v.string()),
  run: v.string(),
  step: v.optional(v.string()),
});
export type ShownPage = v.InferOutput<typeof shownPage>;

/** Of a `vscode.Memento` the part that is used. */
export interface Memento {
  get(key: string): unknown;
  update(key: string, value: unknown): PromiseLike<void>;
}

const KEY = 'slipway.rollout.pages';
const MOST = 20;

/**
 * What the pages show, written down at once. The editor keeps a page's own state only every few seconds (in a browser) or
 * when it ends in order; a page restored without it would not even know its environment.
 */
export class PageMemory {
  readonly #memento: Memento;

  constructor(memento: Memento) {
    this.#memento = memento;
  }

  /** Newest first. What is not ours in the storage is passed over. */
  pages(): readonly ShownPage[] {
    const stored = this.#memento.get(KEY);
    return Array.isArray(stored)
      ? stored.flatMap((value) => {
          const page = v.safeParse(shownPage, value);
          return page.success ? [page.output] : [];
        })
      : [];
  }

  remember(page: ShownPage): void {
    const others = this.pages().filter((other) => !isSamePage(other, page));
    void this.#memento.update(KEY, [page, ...others].slice(0, MOST));
  }

  /** The page for a state that the editor kept, or, when it kept none, the newest one that is not open yet. */
  find(state: unknown, isOpen: (page: ShownPage) => boolean): ShownPage | undefined {
    const kept = v.safeParse(shownPage, state);
    const pages = this.pages();
    if (!kept.success) return pages.find((page) => !isOpen(page));
    return pages.find((page) => isSamePage(page, kept.output)) ?? kept.output;
  }
}

const isSamePage = (a: ShownPage, b: ShownPage): boolean => a.folder === b.folder && a.environment === b.environment;
