import { join, literal, unknown, type Value, variable } from './values.ts';

/** `$NAME` and `${NAME}` of a variable's or environment's text. */
export function expand(text: string, variables: ReadonlyMap<string, Value>, self?: string): Value {
  const parts: Value[] = [];
  let at = 0;
  for (const match of text.matchAll(/\$\$|\$\{(\w+)\}|\$(\w+)/g)) {
    parts.push(literal(text.slice(at, match.index)));
    const name = match[1] ?? match[2];
    if (name === undefined) parts.push(literal('$'));
    else parts.push((name === self ? undefined : variables.get(name)) ?? unknown(`$${name}`));
    at = match.index + match[0].length;
  }
  parts.push(literal(text.slice(at)));
  return join(...parts);
}

/** Predefined variables whose meaning is the same in every run. */
export function predefined(options: {
  readonly repository?: string;
  readonly registry?: string;
}): readonly (readonly [string, Value])[] {
  const { repository, registry } = options;
  const [name] = repository?.split('/').slice(-1) ?? [];
  return [
    ['CI_COMMIT_SHA', variable('sha')],
    ['CI_COMMIT_SHORT_SHA', variable('sha', 8)],
    ['CI_COMMIT_REF_NAME', variable('ref-name')],
    ['CI_COMMIT_REF_SLUG', variable('ref-name')],
    ['CI_COMMIT_BRANCH', variable('branch')],
    ['CI_COMMIT_TAG', variable('tag')],
    ['CI_PIPELINE_IID', variable('run-number')],
    ['CI_PIPELINE_ID', variable('run-id')],
    ['CI_PIPELINE_SOURCE', variable('event')],
    ['CI_PROJECT_DIR', literal('.')],
    ...(repository === undefined
      ? []
      : ([
          ['CI_PROJECT_PATH', literal(repository)],
          ['CI_PROJECT_NAME', literal(name ?? '')],
          ['CI_PROJECT_NAMESPACE', literal(repository.split('/').slice(0, -1).join('/'))],
        ] as const)),
    ...(registry === undefined ? [] : ([['CI_REGISTRY', literal(registry)]] as const)),
    ...(registry === undefined || repository === undefined
      ? []
      : ([['CI_REGISTRY_IMAGE', literal(`${registry}/${repository.toLowerCase()}`)]] as const)),
  ];
}
