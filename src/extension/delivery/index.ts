// What one does with an environment that Flux or Argo CD delivers: look again now, switch off with a note, switch on.
import * as vscode from 'vscode';
import type { FluxActions, FluxStatus, Reconciled } from '../../engine/main.ts';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import type { System } from '../../engine/system/index.ts';
import type { SelectedEnvironment } from '../actions/selectedEnvironment.ts';
import { pickDeployable } from '../actions/stageCommands.ts';
import type { TextDocuments } from '../actions/textDocuments.ts';
import { asking } from '../commands/asking.ts';
import type { CommandSpec } from '../commands/register.ts';
import { confirmChange } from '../commands/runCommands.ts';
import { pickRoot, projectOf, targetOf } from '../commands/target.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import { age } from '../words.ts';
import type { Root, Workspace } from '../workspace.ts';
import { fluxName, outcomeOf, type Switchable, switchables } from './deliveryText.ts';
import { initDeliveryCommand } from './initDelivery.ts';

export interface DeliveryParts {
  readonly workspace: Workspace;
  readonly loader: EngineLoader;
  readonly selected: SelectedEnvironment;
  readonly system: System;
  readonly texts: TextDocuments;
}

type Controller = 'flux' | 'argocd';

export function deliveryCommands(parts: DeliveryParts): readonly CommandSpec[] {
  return [
    { id: 'slipway.reconcile', needs: 'trusted', run: (argument) => reconcile(parts, argument) },
    { id: 'slipway.suspend', needs: 'trusted', run: (argument) => suspend(parts, argument) },
    { id: 'slipway.resumeDelivery', needs: 'trusted', run: (argument) => resume(parts, argument) },
    initDeliveryCommand(parts),
  ];
}

async function reconcile(parts: DeliveryParts, argument: unknown): Promise<void> {
  const { root, environment } = await choose(parts, argument, vscode.l10n.t('Reconcile'), ['flux', 'argocd']);
  const title = vscode.l10n.t('Slipway: {0} looks again', environment.name);
  if (environment.deploy.kind === 'argocd') {
    const { refreshApplication } = await (await parts.loader.module()).loadApplications();
    const project = await projectOf(root);
    const view = await asking(title, (signal, onWait) =>
      refreshApplication({ system: parts.system, project, environment: environment.name, signal, onWait }, 'normal'),
    );
    say(`${view.name}: ${view.summary}`);
    return;
  }
  const names = namesOf(argument);
  const flux = await (await parts.loader.engine(root.path)).flux();
  const results: readonly Reconciled[] = await asking(title, (signal, report) =>
    flux.reconcile(
      { environment: environment.name, ...(names !== undefined && { names }) },
      { signal, onProgress: (object, message) => report(`${object.kind} ${object.name}: ${message}`) },
    ),
  );
  say(outcomeOf(environment.name, results));
}

async function suspend(parts: DeliveryParts, argument: unknown): Promise<void> {
  const { root, environment } = await choose(parts, argument, vscode.l10n.t('Suspend Delivery'), ['flux']);
  const flux = await (await parts.loader.engine(root.path)).flux();
  const given = argument as { readonly object?: unknown; readonly why?: unknown } | undefined;
  const name = typeof given?.object === 'string' ? given.object : await pickActive(flux, environment);
  const why = typeof given?.why === 'string' ? given.why : await askWhy(name);
  await confirmChange(environment, vscode.l10n.t('Suspend {0}', name));
  const { outcome } = await asking(vscode.l10n.t('Slipway: suspending {0}', name), (signal) =>
    flux.suspend({ environment: environment.name, name, why }, signal),
  );
  say(
    outcome === 'already'
      ? vscode.l10n.t('{0} was suspended already.', name)
      : vscode.l10n.t('{0} is suspended.', name),
  );
}

async function resume(parts: DeliveryParts, argument: unknown): Promise<void> {
  const title = vscode.l10n.t('Resume Delivery');
  const { root, environment } = await choose(parts, argument, title, ['flux', 'argocd']);
  if (environment.deploy.kind === 'argocd') {
    const { resumeApplication } = await (await parts.loader.module()).loadApplications();
    const project = await projectOf(root);
    await confirmChange(environment, vscode.l10n.t('Switch automatic sync on'));
    const isResumed = await asking(vscode.l10n.t('Slipway: switching automatic sync on'), (signal) =>
      resumeApplication({ system: parts.system, project, environment: environment.name, signal }),
    );
    say(
      isResumed
        ? vscode.l10n.t('Automatic sync of {0} is on again.', environment.name)
        : vscode.l10n.t('Slipway has not paused automatic sync of {0}.', environment.name),
    );
    return;
  }
  const flux = await (await parts.loader.engine(root.path)).flux();
  const given = (argument as { readonly object?: unknown } | undefined)?.object;
  const name = typeof given === 'string' ? given : await pickSuspended(flux, environment);
  await confirmChange(environment, vscode.l10n.t('Resume {0}', name));
  const { reminder } = await asking(vscode.l10n.t('Slipway: resuming {0}', name), (signal) =>
    flux.resume({ environment: environment.name, name }, signal),
  );
  say(
    reminder === undefined
      ? vscode.l10n.t('{0} goes on.', name)
      : vscode.l10n.t('{0} goes on; it was suspended because: {1}', name, reminder.why),
  );
}

/** An environment of the kinds. Throws SlipwayError where the project has none. */
async function choose(
  { workspace, selected }: DeliveryParts,
  argument: unknown,
  title: string,
  kinds: readonly Controller[],
): Promise<{ readonly root: Root; readonly environment: EnvironmentConfig }> {
  const given = targetOf(argument, workspace);
  const root = await pickRoot(workspace, given);
  const isFit = ({ deploy }: EnvironmentConfig) => kinds.some((kind) => kind === deploy.kind);
  const fit = (await projectOf(root)).environments.filter(isFit);
  const names = kinds.map((kind) => (kind === 'flux' ? 'Flux' : 'Argo CD')).join(' or ');
  const refused = (message: string) =>
    new SlipwayError({
      reason: 'usage',
      code: 'delivery.none',
      message,
      fix:
        fit.length === 0
          ? vscode.l10n.t('Environments with deploy.flux or deploy.argocd in slipway.yaml are delivered so.')
          : vscode.l10n.t('Use one of {0}.', fit.map(({ name }) => name).join(', ')),
    });
  if (fit.length === 0) throw refused(vscode.l10n.t('No environment of this project is delivered by {0}.', names));
  const [only] = fit;
  if (typeof given.environment !== 'string' && fit.length === 1 && only !== undefined)
    return { root, environment: only };
  const environment = await pickDeployable(root, given, title, selected, isFit);
  if (!isFit(environment)) {
    throw refused(vscode.l10n.t('{0} is not delivered by {1}.', environment.name, names));
  }
  return { root, environment };
}

function statusOf(flux: FluxActions, environment: EnvironmentConfig): Promise<FluxStatus> {
  return asking(vscode.l10n.t('Slipway: asking Flux about {0}', environment.name), (signal) =>
    flux.status({ environment: environment.name }, signal),
  );
}

async function pickActive(flux: FluxActions, environment: EnvironmentConfig): Promise<string> {
  const active = switchables(await statusOf(flux, environment));
  return pickObject(
    active,
    vscode.l10n.t('Suspend Delivery'),
    vscode.l10n.t('Nothing of Flux that {0} needs is active.', environment.name),
  );
}

async function pickSuspended(flux: FluxActions, environment: EnvironmentConfig): Promise<string> {
  const now = Date.now();
  const { suspended } = await statusOf(flux, environment);
  const items = suspended.map(
    ({ object, reminder }): Switchable => ({
      name: fluxName(object),
      label: `${object.kind} ${object.name}`,
      description:
        reminder === undefined
          ? vscode.l10n.t('suspended')
          : `${reminder.why} (${reminder.by}, ${age(reminder.at, now)})`,
      ...(reminder?.before !== undefined && { detail: vscode.l10n.t('Before it is resumed: {0}', reminder.before) }),
    }),
  );
  return pickObject(items, vscode.l10n.t('Resume Delivery'), vscode.l10n.t('Nothing of Flux is suspended there.'));
}

/** Throws SlipwayError with the text when there is nothing to pick from. */
async function pickObject(items: readonly Switchable[], title: string, none: string): Promise<string> {
  if (items.length === 0) throw new SlipwayError({ reason: 'usage', code: 'delivery.nothing', message: none });
  const picked = await vscode.window.showQuickPick(items, {
    title,
    placeHolder: vscode.l10n.t('Object of Flux'),
    ignoreFocusOut: true,
    matchOnDescription: true,
  });
  if (picked === undefined) throw new CancelledError();
  return picked.name;
}

async function askWhy(name: string): Promise<string> {
  const typed = await vscode.window.showInputBox({
    title: vscode.l10n.t('Suspend {0}', name),
    prompt: vscode.l10n.t('Why? The note stays on the object until it is resumed.'),
    ignoreFocusOut: true,
    validateInput: (text) =>
      text.trim() === '' ? vscode.l10n.t('A few words for whoever finds it suspended.') : undefined,
  });
  if (typed === undefined) throw new CancelledError();
  return typed.trim();
}

/** `{ "environment": "home", "objects": ["kustomization/apps"] }` of a keybinding. */
function namesOf(argument: unknown): readonly string[] | undefined {
  const given = (argument as { readonly objects?: unknown } | undefined)?.objects;
  return Array.isArray(given) ? given.filter((name) => typeof name === 'string') : undefined;
}

const say = (text: string): void => void vscode.window.setStatusBarMessage(`$(pass) ${text}`, 8_000);
