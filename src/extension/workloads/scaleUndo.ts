// What Scale changed in this window, so that its row can offer the way back. No vscode here.
import { Emitter, Owner } from '../events.ts';

export interface Scaled {
  readonly before: number;
  readonly after: number;
}

export interface ScaledWorkload {
  /** Absolute folder of the workspace root. */
  readonly folder: string;
  readonly environment: string;
  /** As the engine finds it: `deployment/web`. */
  readonly named: string;
}

/** The last scale of each workload. Only while the workload still has the number it was given: what came later counts. */
export class ScaleUndo extends Owner {
  readonly #last = new Map<string, Scaled>();
  readonly #changed = this.own(new Emitter<ScaledWorkload>());
  readonly onDidChange = this.#changed.event;

  remember(workload: ScaledWorkload, scaled: Scaled): void {
    if (scaled.before === scaled.after) this.#last.delete(keyOf(workload));
    else this.#last.set(keyOf(workload), scaled);
    this.#changed.fire(workload);
  }

  forget(workload: ScaledWorkload): void {
    this.#last.delete(keyOf(workload));
    this.#changed.fire(workload);
  }

  get(workload: ScaledWorkload): Scaled | undefined {
    return this.#last.get(keyOf(workload));
  }

  /** The number of replicas to go back to; undefined when somebody has set another one since. */
  offer(workload: ScaledWorkload, desired: number): number | undefined {
    const scaled = this.#last.get(keyOf(workload));
    return scaled !== undefined && scaled.after === desired ? scaled.before : undefined;
  }
}

const keyOf = ({ folder, environment, named }: ScaledWorkload): string => `${folder}\n${environment}\n${named}`;
