// What has been observed so far, as a draft that one evaluation may write on.
import type { Exit, Mark, Memory, Sighting } from './snapshot.ts';

/** A state that goes away for less than this (a retry is at work) is still the same state. */
const FORGET_AFTER_MS = 20_000;

/** Seen states, exits and progress of one evaluation; `finish` gives the memory for the next. */
export class Draft {
  readonly #memory: Memory;
  readonly #now: number;
  /** Added to old times: while contact was lost no clock of ours runs. */
  readonly #shift: number;
  readonly #sightings = new Map<string, Sighting>();
  readonly #exits = new Map<string, readonly Exit[]>();
  readonly #marks = new Map<string, Mark>();

  constructor(memory: Memory, now: number, shift: number) {
    this.#memory = memory;
    this.#now = now;
    this.#shift = shift;
  }

  /** Notes that a state is there now. `state` is its finer name: entering `attemptState` anew counts as an attempt. */
  see(key: string, message: string, state = '', attemptState = ''): Sighting {
    const now = this.#sightings.get(key);
    const old = now ?? this.#memory.sightings[key];
    const isGone = old?.missingSince !== undefined && this.#now - old.missingSince > FORGET_AFTER_MS + this.#shift;
    const sighting: Sighting =
      old === undefined || isGone
        ? { first: this.#now, message, attempts: 1, state }
        : {
            first: now === undefined ? old.first + this.#shift : old.first,
            message: old.message,
            attempts: old.attempts + (state === attemptState && old.state !== state ? 1 : 0),
            state,
          };
    this.#sightings.set(key, sighting);
    return sighting;
  }

  exits(key: string): readonly Exit[] {
    return this.#exits.get(key) ?? this.#memory.exits[key] ?? [];
  }

  /** Adds an exit that was not known; keeps the last 20. */
  addExit(key: string, exit: Exit): readonly Exit[] {
    const known = this.exits(key);
    const exits = known.some(({ id }) => id === exit.id) ? known : [...known, exit].slice(-20);
    this.#exits.set(key, exits);
    return exits;
  }

  /** Keeps exits of a container that is still there. */
  keepExits(key: string): void {
    const known = this.exits(key);
    if (known.length > 0) this.#exits.set(key, known);
  }

  mark(key: string): Mark | undefined {
    const known = this.#marks.get(key);
    if (known !== undefined) return known;
    const old = this.#memory.marks[key];
    return old === undefined ? undefined : { ...old, progressAt: old.progressAt + this.#shift };
  }

  setMark(key: string, mark: Mark): void {
    this.#marks.set(key, mark);
  }

  finish(): Memory {
    for (const [key, sighting] of Object.entries(this.#memory.sightings)) {
      if (this.#sightings.has(key)) continue;
      const missingSince = sighting.missingSince ?? this.#now;
      if (this.#now - missingSince <= FORGET_AFTER_MS + this.#shift)
        this.#sightings.set(key, { ...sighting, missingSince });
    }
    return {
      startedAt: this.#memory.startedAt,
      sightings: Object.fromEntries(this.#sightings),
      exits: Object.fromEntries(this.#exits),
      marks: Object.fromEntries(this.#marks),
    };
  }
}
