import { Argument, type Command, type Option } from 'commander';
import type { CliContext } from '../context.ts';

/** A word that may stand next, and what it means. */
export interface Candidate {
  readonly word: string;
  readonly meaning: string;
}

/** Names only the workspace knows. */
export type ValueKind = 'environment' | 'image' | 'run' | 'step';

/** Completion for shells: the scripts are small and ask `slipway complete`, so they never grow old. */
export function addCompletionCommand(program: Command, context: () => CliContext): void {
  program
    .command('completion')
    .description('Print a completion script for a shell.')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
  bash:  slipway completion bash > ~/.local/share/bash-completion/completions/slipway
  zsh:   slipway completion zsh > "\${fpath[1]}/_slipway"
  fish:  slipway completion fish > ~/.config/fish/completions/slipway.fish`,
    )
    .action((shell: keyof typeof scripts) => {
      context().print(scripts[shell].trim());
    });

  program.command('complete', { hidden: true }).action(async () => {
    const cli = context();
    const words = cli.rest;
    const { fixed, values } = candidatesFor(program, words);
    const last = words.at(-1) ?? '';
    const found = [...fixed, ...(values === undefined ? [] : await valuesOf(values, cli))];
    for (const { word, meaning } of found) {
      if (word.startsWith(last)) cli.print(`${word}\t${meaning.replace(/\s+/g, ' ')}`);
    }
  });
}

/** What may stand where the last word is: fixed words, or values that the workspace has. */
export function candidatesFor(
  program: Command,
  words: readonly string[],
): { readonly fixed: readonly Candidate[]; readonly values?: ValueKind } {
  let command = program;
  let operands = 0;
  let open: Option | undefined;
  for (const word of words.slice(0, -1)) {
    if (open !== undefined) {
      open = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const option = optionsOf(program, command).find(({ short, long }) => word === short || word === long);
      if (option?.required === true) open = option;
      continue;
    }
    const next = command.commands.find((known) => known.name() === word);
    if (next === undefined) operands += 1;
    else command = next;
  }
  if (open !== undefined) return valuesOfOption(open);
  if ((words.at(-1) ?? '').startsWith('-')) {
    return {
      fixed: optionsOf(program, command).map(({ long, short, description }) => ({
        word: long ?? short ?? '',
        meaning: description,
      })),
    };
  }
  const below = visible(command);
  if (below.length > 0) return { fixed: below.map((each) => ({ word: each.name(), meaning: each.description() })) };
  const argument = command.registeredArguments[Math.min(operands, command.registeredArguments.length - 1)];
  if (argument === undefined) return { fixed: [] };
  const kind = kindOf(argument.name());
  return {
    fixed: (argument.argChoices ?? []).map((word) => ({ word, meaning: argument.description })),
    ...(kind !== undefined && { values: kind }),
  };
}

const visible = (command: Command): readonly Command[] => command.createHelp().visibleCommands(command);

const optionsOf = (program: Command, command: Command): readonly Option[] =>
  [...new Set([...command.options, ...program.options])].filter(({ hidden }) => !hidden);

function valuesOfOption(option: Option) {
  const kind = kindOf(option.attributeName());
  const choices = option.argChoices ?? /^[^:]*: ((?:\w+, )+\w+)$/.exec(option.description)?.[1]?.split(', ') ?? [];
  return {
    fixed: choices.map((word) => ({ word, meaning: '' })),
    ...(kind !== undefined && { values: kind }),
  };
}

const kindOf = (name: string): ValueKind | undefined =>
  (({ env: 'environment', image: 'image', run: 'run', step: 'step', what: 'step' }) as const)[name as 'env'];

const NEWEST_RUNS = 15;

/** Files of the workspace only; what cannot be read offers nothing. */
async function valuesOf(kind: ValueKind, { engine }: CliContext): Promise<readonly Candidate[]> {
  try {
    if (kind === 'run' || kind === 'step') {
      const runs = (await engine.runs()).slice(0, kind === 'run' ? NEWEST_RUNS : 1);
      const views = (await Promise.all(runs.map((run) => engine.view(run)))).filter((view) => view !== undefined);
      return kind === 'run'
        ? views.map((view) => ({ word: view.id, meaning: `${view.environment ?? 'images'} ${view.state}` }))
        : views.flatMap(({ steps }) =>
            steps.map(({ id, title, state }) => ({ word: id, meaning: `${title}: ${state}` })),
          );
    }
    const { environments, images } = await engine.project();
    return kind === 'environment'
      ? environments.map(({ name, deploy, namespace }) => ({ word: name, meaning: `${deploy.kind}, ${namespace}` }))
      : images.map(({ name, repository }) => ({ word: name, meaning: repository }));
  } catch {
    // Pressing Tab is no place for an error; the command itself will say it.
    return [];
  }
}

const scripts = {
  // COMP_WORDS is split at colons, which step ids have; the line is not. Works from bash 3.2 on, which macOS has.
  bash: `
_slipway() {
  local line="\${COMP_LINE:0:COMP_POINT}" cur colon IFS
  local -a words
  read -ra words <<< "$line"
  [[ $line == *' ' ]] && words+=('')
  cur="\${words[\${#words[@]}-1]}"
  IFS=$'\\n'
  COMPREPLY=($(slipway complete -- "\${words[@]:1}" 2>/dev/null | cut -f1))
  colon="\${cur%"\${cur##*:}"}"
  [[ -n $colon ]] && COMPREPLY=("\${COMPREPLY[@]#"$colon"}")
}
complete -o default -F _slipway slipway
`,
  zsh: `
#compdef slipway
_slipway() {
  local -a found
  local line
  for line in "\${(@f)$(slipway complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( $#found )); then _describe slipway found; else _files; fi
}
if [[ $funcstack[1] == _slipway ]]; then _slipway "$@"; else compdef _slipway slipway; fi
`,
  fish: `
complete -c slipway -f -a '(slipway complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
complete -c slipway -s C -l directory -r -F
complete -c slipway -s c -l config -r -F
`,
} as const;
