import * as vscode from 'vscode';
import type { CiRepository, CiToken } from '../../engine/ci/index.ts';
import { CancelledError } from '../../engine/problems/index.ts';
import { Emitter, Owner } from '../events.ts';

const SCOPES = ['repo', 'workflow'] as const;

/** Tokens of CI hosts: VS Code's own GitHub account, and its secret storage for everything else. Never settings, never files. */
export class CiAccounts extends Owner {
  readonly #secrets: vscode.SecretStorage;
  readonly #changed = this.own(new Emitter<void>());
  readonly onDidChange = this.#changed.event;

  constructor(secrets: vscode.SecretStorage) {
    super();
    this.#secrets = secrets;
    this.own(
      vscode.authentication.onDidChangeSessions(
        ({ provider }) => provider.id.startsWith('github') && this.#changed.fire(),
      ),
    );
    this.own(secrets.onDidChange(({ key }) => key.startsWith(keyOf('')) && this.#changed.fire()));
  }

  /** Asks nobody: undefined where the person has not signed in here. */
  async tokenFor(repository: CiRepository): Promise<CiToken | undefined> {
    const stored = await this.#secrets.get(keyOf(repository.host));
    if (stored !== undefined) return { token: stored, from: vscode.l10n.t("VS Code's secret storage") };
    const provider = providerOf(repository);
    if (provider === undefined) return undefined;
    try {
      const session = await vscode.authentication.getSession(provider, SCOPES, { silent: true });
      if (session === undefined) return undefined;
      return { token: session.accessToken, from: vscode.l10n.t('the {0} account of VS Code', session.account.label) };
    } catch {
      // No such provider in this editor: signing in by token is left.
      return undefined;
    }
  }

  /** Asks the person. Throws CancelledError when they do not want to. */
  async signIn(repository: CiRepository): Promise<void> {
    const provider = providerOf(repository);
    const account = vscode.l10n.t('Use a GitHub account of VS Code');
    const byToken = vscode.l10n.t('Enter a token');
    const way =
      provider === undefined
        ? byToken
        : await vscode.window.showQuickPick([account, byToken], {
            title: vscode.l10n.t('Sign in to {0}', repository.host),
          });
    if (way === undefined) throw new CancelledError();
    if (way === account && provider !== undefined) {
      await vscode.authentication.getSession(provider, SCOPES, { createIfNone: true });
      this.#changed.fire();
      return;
    }
    const token = await vscode.window.showInputBox({
      title: vscode.l10n.t('Token for {0}', repository.host),
      prompt: PROMPTS[repository.kind],
      password: true,
      ignoreFocusOut: true,
      validateInput: (text) => (/\s/.test(text.trim()) ? vscode.l10n.t('A token has no spaces in it.') : undefined),
    });
    if (token === undefined || token.trim() === '') throw new CancelledError();
    await this.#secrets.store(keyOf(repository.host), token.trim());
    this.#changed.fire();
  }

  async signOut(repository: CiRepository): Promise<void> {
    await this.#secrets.delete(keyOf(repository.host));
    this.#changed.fire();
  }
}

const keyOf = (host: string): string => `slipway.ciToken:${host}`;

function providerOf({ kind, host }: CiRepository): string | undefined {
  if (kind !== 'github') return undefined;
  if (host === 'github.com') return 'github';
  const enterprise = vscode.workspace.getConfiguration('github-enterprise').get<string>('uri', '');
  return /^https?:\/\/([^/]+)/.exec(enterprise)?.[1]?.toLowerCase() === host ? 'github-enterprise' : undefined;
}

const PROMPTS: Readonly<Record<CiRepository['kind'], string>> = {
  github: 'Classic: scopes repo and workflow. Fine-grained: Actions read and write, Contents read.',
  gitlab: 'Scope read_api to look, api to start and cancel.',
  gitea: 'Scope read:repository to look, write:repository to start and run again.',
};
