import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Engine } from '../../engine/main.ts';
import type { System } from '../../engine/system/index.ts';

type EngineModule = typeof import('../../engine/main.ts');

/** Loads the engine's bundle, which lies beside the extension's, when somebody first needs it; once. */
export class EngineLoader {
  readonly #file: string;
  readonly #system: System;
  #module: Promise<EngineModule> | undefined;

  constructor(folder: string, system: System) {
    this.#file = join(folder, 'dist', 'engine.mjs');
    this.#system = system;
  }

  get isLoaded(): boolean {
    return this.#module !== undefined;
  }

  module(): Promise<EngineModule> {
    this.#module ??= import(pathToFileURL(this.#file).href) as Promise<EngineModule>;
    return this.#module;
  }

  async engine(root: string): Promise<Engine> {
    const { Engine } = await this.module();
    return new Engine({ system: this.#system, root });
  }
}
