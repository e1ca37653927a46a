import { textOf, unknown, type Value } from './values.ts';

/** What a script has set so far; the interpreter writes into these maps. */
export interface ShellState {
  readonly variables: Map<string, Value>;
  readonly environment: Map<string, Value>;
  readonly outputs: Map<string, Value>;
}

const PARTS = ['variables', 'environment', 'outputs'] as const;
type Snapshot = { readonly [Part in (typeof PARTS)[number]]: ReadonlyMap<string, Value> };

interface Branching {
  readonly kind: 'if' | 'case';
  readonly start: Snapshot;
  /** How things stood at the end of each branch that goes on behind the block. */
  readonly ends: Snapshot[];
  isOpen: boolean;
  hasElse: boolean;
}

/**
 * Which values are sure after `if`, `case`, `test … &&` and an early `exit`: those that are the same whichever way the
 * script takes. Any other is unknown under its name.
 */
export class Branches {
  readonly #state: ShellState;
  readonly #open: Branching[] = [];
  /** What was written for later steps where the script ends early. */
  readonly #exits: Snapshot[] = [];
  #hasExited = false;

  constructor(state: ShellState) {
    this.#state = state;
  }

  begin(kind: Branching['kind']): void {
    this.#open.push({ kind, start: this.#snapshot(), ends: [], isOpen: kind === 'case', hasElse: false });
  }

  /** `then`, `elif`, `else`, or the next pattern of a `case`. */
  branch(word: 'then' | 'elif' | 'else' | 'pattern'): void {
    const top = this.#open.at(-1);
    if (top === undefined || (word === 'pattern') !== (top.kind === 'case')) return;
    if (top.isOpen) this.#endBranch(top);
    top.isOpen = true;
    top.hasElse ||= word === 'else';
  }

  end(kind: Branching['kind']): void {
    const top = this.#open.at(-1);
    if (top?.kind !== kind) return;
    this.#open.pop();
    if (top.isOpen) this.#endBranch(top);
    const ways = top.hasElse ? top.ends : [...top.ends, top.start];
    // Nothing comes behind a block whose every branch ends the script.
    if (ways.length > 0) this.#restore(joined(ways));
  }

  /** `exit` and `return`: what stands behind them in the same branch is never reached. */
  exit(): void {
    this.#exits.push(this.#snapshot());
    if (this.#open.length > 0) this.#hasExited = true;
  }

  /** Runs something that may not happen. */
  perhaps(run: () => void): void {
    const before = this.#snapshot();
    run();
    this.#restore(joined([before, this.#snapshot()]));
  }

  /** The end of the script: what was written is sure when every way to an end wrote it. */
  finish(): void {
    while (this.#open.length > 0) this.end(this.#open.at(-1)?.kind ?? 'if');
    if (this.#exits.length === 0) return;
    const { variables } = this.#snapshot();
    this.#restore({ ...joined([...this.#exits, this.#snapshot()]), variables });
  }

  #endBranch(top: Branching): void {
    if (this.#hasExited) this.#hasExited = false;
    else top.ends.push(this.#snapshot());
    this.#restore(top.start);
  }

  #snapshot(): Snapshot {
    const { variables, environment, outputs } = this.#state;
    return { variables: new Map(variables), environment: new Map(environment), outputs: new Map(outputs) };
  }

  #restore(snapshot: Snapshot): void {
    for (const part of PARTS) {
      this.#state[part].clear();
      for (const [key, value] of snapshot[part]) this.#state[part].set(key, value);
    }
  }
}

function joined(ways: readonly Snapshot[]): Snapshot {
  const part = (name: (typeof PARTS)[number]): ReadonlyMap<string, Value> => {
    const found = new Map<string, Value>();
    for (const key of new Set(ways.flatMap((way) => [...way[name].keys()]))) {
      const values = ways.map((way) => way[name].get(key));
      const [first] = values;
      const isSame = values.every(
        (value) => value !== undefined && first !== undefined && textOf(value) === textOf(first),
      );
      found.set(key, isSame && first !== undefined ? first : unknown(name === 'variables' ? `$${key}` : key));
    }
    return found;
  };
  return { variables: part('variables'), environment: part('environment'), outputs: part('outputs') };
}
