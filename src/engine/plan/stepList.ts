import type { StepId } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Stage } from '../project/model.ts';
import { hashOf } from './hash.ts';
import type { EarlierSuccess, PlanRequest } from './request.ts';
import type { KeyInput, PlannedStep, StepSpec } from './step.ts';

/** The stages in their order; test and build have no order between them. */
const STAGES: readonly Stage[] = ['test', 'build', 'scan', 'publish', 'deploy', 'smoke'];

/** The steps of a plan as they are put together: each gets its key, and with it the decision to run or to skip. */
export class StepList {
  readonly #steps = new Map<StepId, PlannedStep>();
  readonly #records: ReadonlyMap<StepId, EarlierSuccess>;
  readonly #request: PlanRequest;

  constructor(records: ReadonlyMap<StepId, EarlierSuccess>, request: PlanRequest) {
    this.#records = records;
    this.#request = request;
  }

  has(id: StepId): boolean {
    return this.#steps.has(id);
  }

  values(): readonly PlannedStep[] {
    return [...this.#steps.values()];
  }

  add(step: {
    readonly id: StepId;
    readonly title: string;
    readonly needs: readonly StepId[];
    readonly spec: StepSpec;
    readonly inputs?: readonly KeyInput[];
    /** Needs whose keys enter this key; all of them when absent. */
    readonly keyNeeds?: readonly StepId[];
    readonly alwaysWhy?: string;
    readonly isOptional?: boolean;
  }): StepId {
    const inputs = [
      ...(step.inputs ?? []),
      ...(step.inputs === undefined
        ? []
        : (step.keyNeeds ?? step.needs).map((id) => ({ name: id, value: this.#steps.get(id)?.key ?? 'always' }))),
    ];
    const key = step.inputs === undefined ? null : hashOf([step.spec.kind, inputs]);
    const record = this.#records.get(step.id);
    const isUnchanged = key !== null && record?.key === key && this.#request.isForced !== true;
    this.#steps.set(step.id, {
      id: step.id,
      kind: step.spec.kind,
      title: step.title,
      needs: [...new Set(step.needs)].filter((id) => this.#steps.has(id)),
      spec: step.spec,
      key,
      inputs,
      decision: isUnchanged
        ? { action: 'skip', why: `unchanged since run ${record.run}` }
        : { action: 'run', why: this.#whyRun(step.alwaysWhy, record, inputs) },
      ...(isUnchanged && { outputs: record.outputs }),
      ...(step.isOptional === true && { isOptional: true }),
    });
    return step.id;
  }

  #addNeeds(step: PlannedStep, chosen: PlannedStep[], ids: Set<StepId>): void {
    for (const id of step.needs) {
      const need = this.#steps.get(id);
      if (need === undefined || ids.has(id)) continue;
      ids.add(id);
      chosen.push(need);
      this.#addNeeds(need, chosen, ids);
    }
  }

  /**
   * A run of single stages stands on what earlier runs left: a build of another state, or a gate that has not passed for
   * this one, would publish what nobody looked at. `isForced` passes over gates, never over builds.
   */
  #refuseStale(chosen: readonly PlannedStep[], ids: ReadonlySet<StepId>): void {
    for (const step of chosen) {
      for (const id of step.needs) {
        const need = this.#steps.get(id);
        if (need === undefined || ids.has(id) || need.key === null || need.decision.action === 'skip') continue;
        const isBuild = need.kind === 'build';
        if (!isBuild && this.#request.isForced === true) continue;
        if (isBuild && this.#records.get(id)?.key === need.key) continue;
        throw new SlipwayError({
          reason: 'usage',
          code: 'plan.stale',
          message: `${step.title} needs "${need.title}", which has not been done for this state of the files (${need.decision.why}).`,
          fix: `Run it as well: slipway run --until ${stageOf(step)}${isBuild ? '' : ', or pass it over with --force'}.`,
        });
      }
    }
  }

  #whyRun(always: string | undefined, record: EarlierSuccess | undefined, inputs: readonly KeyInput[]): string {
    if (always !== undefined) return always;
    if (record === undefined) return 'it has not run here before';
    if (this.#request.isForced === true) return 'everything was asked to run';
    const before = new Map(record.inputs?.map(({ name, value }) => [name, value]));
    const changed = inputs.filter(({ name, value }) => before.get(name) !== value).map(({ name }) => name);
    return record.inputs === undefined || changed.length === 0
      ? 'its inputs changed'
      : `changed: ${changed.join(', ')}`;
  }

  /** The steps in an order that respects needs, cut down to the stages that were asked for. */
  selected(): readonly PlannedStep[] {
    const { until, only } = this.#request;
    const last = until === undefined ? STAGES.length : STAGES.indexOf(until);
    const isWanted = (step: PlannedStep): boolean => {
      const stage = stageOf(step);
      if (only !== undefined) return only.includes(stage);
      return STAGES.indexOf(stage) <= last;
    };
    const chosen = [...this.#steps.values()].filter(isWanted);
    const ids = new Set(chosen.map((step) => step.id));
    if (only !== undefined) this.#refuseStale(chosen, ids);
    // Tests may run in an image that is built here, though their stage is the first.
    else for (const step of chosen) this.#addNeeds(step, chosen, ids);
    const ordered: PlannedStep[] = [];
    const placed = new Set<StepId>();
    const place = (step: PlannedStep): void => {
      if (placed.has(step.id)) return;
      placed.add(step.id);
      for (const need of step.needs) {
        const needed = this.#steps.get(need);
        if (needed !== undefined && ids.has(need)) place(needed);
      }
      ordered.push({ ...step, needs: step.needs.filter((need) => ids.has(need)) });
    };
    for (const step of chosen.toSorted((a, b) => STAGES.indexOf(stageOf(a)) - STAGES.indexOf(stageOf(b)))) place(step);
    return ordered;
  }
}

function stageOf(step: PlannedStep): Stage {
  switch (step.spec.kind) {
    case 'command':
      return step.spec.command.before ?? step.spec.command.after ?? 'test';
    case 'sbom':
    case 'sign':
      return 'publish';
    case 'config':
      return 'scan';
    case 'check':
    case 'rollout':
    case 'rollback':
      return 'deploy';
    default:
      return step.spec.kind;
  }
}
