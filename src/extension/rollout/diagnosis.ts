// What the page gets of a diagnosis, checked twice: the host when it reads the file, the page when the message comes.
// No vscode and no Node here: the page's program imports this too.
import * as v from 'valibot';

const texts = v.array(v.string());
const optionalText = v.optional(v.string());

const container = v.object({
  name: v.string(),
  image: v.string(),
  state: v.string(),
  message: v.string(),
  exitCode: v.optional(v.number()),
  lastReason: optionalText,
  lastExitCode: v.optional(v.number()),
  restarts: v.number(),
  hasStarted: v.boolean(),
});

export const diagnosisSchema = v.object({
  version: v.literal(1),
  environment: v.string(),
  namespace: v.string(),
  time: v.string(),
  failure: v.optional(
    v.object({ code: optionalText, message: v.string(), fix: optionalText, evidence: v.optional(texts) }),
  ),
  troubles: v.array(v.object({ title: v.string(), evidence: v.string(), fix: v.string() })),
  workloads: v.array(
    v.object({
      name: v.string(),
      desired: v.string(),
      updated: v.string(),
      ready: v.string(),
      available: v.string(),
      conditions: texts,
    }),
  ),
  pods: v.array(
    v.object({
      name: v.string(),
      node: v.string(),
      phase: v.string(),
      isReady: v.boolean(),
      containers: v.array(container),
      unschedulable: optionalText,
    }),
  ),
  events: v.array(
    v.object({
      at: v.string(),
      type: v.string(),
      reason: v.string(),
      object: v.string(),
      message: v.string(),
      count: v.number(),
    }),
  ),
  logs: v.array(
    v.object({ name: v.string(), pod: v.string(), container: v.string(), isPrevious: v.boolean(), text: v.string() }),
  ),
  history: v.array(
    v.object({
      of: v.string(),
      revisions: v.array(
        v.object({ number: v.number(), at: v.string(), name: v.string(), images: texts, isVerified: v.boolean() }),
      ),
    }),
  ),
  nodes: v.array(
    v.object({
      name: v.string(),
      cpu: v.string(),
      memory: v.string(),
      pods: v.string(),
      troubles: texts,
      taints: texts,
    }),
  ),
  files: texts,
  missing: texts,
});

export type ShownDiagnosis = v.InferOutput<typeof diagnosisSchema>;

/** Undefined for what no version of Slipway that this one knows has written. */
export function parseDiagnosis(text: string): ShownDiagnosis | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const result = v.safeParse(diagnosisSchema, value);
  return result.success ? result.output : undefined;
}
