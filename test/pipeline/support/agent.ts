// An agent's operations in this process, as its hosts call them; what a person would be asked is collected.
import { ActiveRuns, type AgentContext, operationOf } from '../../../src/agents/index.ts';
import { createSystem, Engine, secretsOf } from '../../../src/engine/main.ts';

export interface Agent {
  /** Throws what the operation throws. */
  readonly call: (name: string, input: object) => Promise<Record<string, unknown>>;
  /** Titles of what had to be agreed to. */
  readonly asked: readonly string[];
}

export function agentOf(root: string, env: NodeJS.ProcessEnv): Agent {
  const system = createSystem({ env });
  const engine = new Engine({ system, root });
  const none = () => Promise.reject(new Error('no runs here'));
  const context: AgentContext = {
    system,
    engine,
    secrets: secretsOf(system),
    runs: new ActiveRuns({ run: none, resume: none, rollBack: none }),
    isLive: async () => false,
    signal: new AbortController().signal,
    report: () => {},
  };
  const asked: string[] = [];
  return {
    asked,
    call: async (name, input) => {
      const operation = operationOf(`slipway_${name}`);
      if (operation === undefined) throw new Error(`there is no operation ${name}`);
      const confirmation = await operation.confirm(input, context);
      if (confirmation !== undefined) asked.push(confirmation.title);
      return { ...(await operation.call(input, context)) };
    },
  };
}
