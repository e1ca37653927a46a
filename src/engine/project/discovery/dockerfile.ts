import { basename } from 'node:path';
import { DockerfileParser, type Instruction, JSONInstruction } from 'dockerfile-ast';
import type { Place } from '../../problems/index.ts';
import type { DockerfileFinding } from './findings.ts';

/** Templates of Dockerfiles, texts about them, and code that is named after them. */
const NOT_DOCKERFILES =
  /\.(dockerignore|md|txt|ya?ml|json|tmpl|tpl|j2|erb|in|bak|orig|swp|go|py|rs|js|ts|java|rb|sh|c|h|html|svg|png|lock|sum)$/i;

/** `Dockerfile`, `api.Dockerfile`, `Dockerfile.api`, `Containerfile`, `dockerfile-api`; not `Dockerfile.dockerignore`. */
export function isDockerfile(path: string): boolean {
  const name = basename(path);
  if (NOT_DOCKERFILES.test(name)) return false;
  return /^(Dockerfile|Containerfile)([._-].+)?$/i.test(name) || /^.+\.(Dockerfile|Containerfile)$/i.test(name);
}

/** Facts of a Dockerfile. `undefined` when it has no FROM: then it is a fragment or a template. */
export function readDockerfile(text: string, path: string, file: string): DockerfileFinding | undefined {
  const dockerfile = DockerfileParser.parse(text);
  const froms = dockerfile.getFROMs();
  const first = froms[0];
  if (first === undefined) return undefined;
  const place = (range: Place['range'] | null): Place => (range ? { file, range } : { file });
  const values = argumentDefaults(dockerfile.getInitialARGs().map((arg) => arg.getProperty()));
  const expand = (value: string) =>
    value.replace(/\$\{?(\w+)(?::-([^}]*))?\}?/g, (whole, name: string, other?: string) => {
      return values.get(name) ?? other ?? whole;
    });
  const instructions = dockerfile.getInstructions();
  const lastFrom = instructions.findLastIndex((each) => each.getKeyword() === 'FROM');
  const final = instructions.slice(lastFrom);
  const expose = final.filter((each) => each.getKeyword() === 'EXPOSE');
  const healthcheck = dockerfile.getHEALTHCHECKs().at(-1);
  const user = final.findLast((each) => each.getKeyword() === 'USER');
  return {
    path,
    place: place(first.getRange()),
    stages: froms.map((from) => {
      const name = from.getBuildStage();
      return { ...(name !== null && { name }), base: expand(from.getImage() ?? ''), place: place(from.getRange()) };
    }),
    ports: [
      ...new Set(
        expose.flatMap((each) =>
          each
            .getArguments()
            .map((argument) => Number(expand(argument.getValue()).replace(/\/(tcp|udp)$/i, '')))
            .filter((port) => Number.isInteger(port) && port > 0 && port < 65_536),
        ),
      ),
    ],
    hasHealthcheck: healthcheck !== undefined && healthcheck.getSubcommand()?.getValue().toUpperCase() !== 'NONE',
    ...(user?.getArguments()[0] !== undefined && { user: user.getArguments()[0]?.getValue() ?? '' }),
    platforms: [
      ...new Set(
        froms.flatMap((from) => {
          const value = from.getPlatformFlag()?.getValue() ?? '';
          return /^[a-z0-9]+\/[a-z0-9_]+(\/v\d+)?$/.test(value) ? [value] : [];
        }),
      ),
    ],
    copied: [...new Set(copiedPaths(instructions))],
  };
}

function argumentDefaults(properties: readonly ({ getName(): string; getValue(): string | null } | null)[]) {
  const values = new Map<string, string>();
  for (const property of properties) {
    const value = property?.getValue();
    if (property !== null && property !== undefined && value !== null && value !== undefined)
      values.set(property.getName(), value);
  }
  return values;
}

/** What COPY and ADD take from the context, without patterns' sense: `src/`, `package.json`. */
function copiedPaths(instructions: readonly Instruction[]): readonly string[] {
  return instructions.flatMap((each) => {
    if (!(each instanceof JSONInstruction) || !['COPY', 'ADD'].includes(each.getKeyword())) return [];
    if (each.getFlags().some((flag) => flag.getName() === 'from')) return [];
    const quoted = each.getJSONStrings().map((argument) => argument.getJSONValue());
    const values = quoted.length > 0 ? quoted : each.getArguments().map((argument) => argument.getValue());
    return values
      .slice(0, -1)
      .filter((value) => !/^(https?:|git@|<<)/.test(value) && !value.includes('$'))
      .map((value) => value.replace(/^\.?\//, ''))
      .filter((value) => value !== '' && value !== '.');
  });
}
