import type { Outputs, StepId } from '../events/index.ts';
import type { Stage } from '../project/model.ts';
import type { KeyInput } from './step.ts';
import type { TagFacts } from './tags.ts';

/** What a person asks for. */
export interface PlanRequest {
  /** Deploy to this environment; absent = up to publish. */
  readonly environment?: string;
  /** Only these images; absent = all (with an environment: all it deploys). */
  readonly images?: readonly string[];
  /** Stop after this stage. */
  readonly until?: Stage;
  /** Only this stage for what was built before: `--only smoke`, `--only deploy`. */
  readonly only?: readonly Stage[];
  /** Deploy this existing tag instead of building. */
  readonly tag?: string;
  /** Run everything, whatever is unchanged. */
  readonly isForced?: boolean;
}

/** Everything about the world that the plan depends on; gathered before, so that planning is a pure function. */
export interface PlanFacts extends TagFacts {
  readonly isDirty: boolean;
  readonly contexts: ReadonlyMap<
    string,
    {
      readonly hash?: string;
      readonly files: number;
      readonly dockerfileHash?: string;
      /** Without the files that git ignores. */
      readonly sourceHash?: string;
    }
  >;
  /** Hash over all files the tests of a name depend on. */
  readonly testInputs: ReadonlyMap<string, string>;
  readonly records: ReadonlyMap<StepId, EarlierSuccess>;
  /** Hash of the ignore file's content, when there is one. */
  readonly ignoreFileHash?: string;
  /** Tool → version text; part of the keys of the steps that use it. Absent when it was not asked. */
  readonly toolVersions: Readonly<Record<string, string>>;
}

export interface EarlierSuccess {
  readonly key: string;
  readonly outputs: Outputs;
  readonly run: string;
  readonly finishedAt: string;
  readonly inputs?: readonly KeyInput[];
}
