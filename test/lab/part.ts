/** What a part is, seen from outside. Each part's own file says how. */
export interface Part {
  readonly name: string;
  /** One line for people: what it is in the lab. */
  readonly what: string;
  readonly version: string;
  readonly group: Group;
  /** Parts that must run before this one starts. They are started with it. */
  readonly needs: readonly string[];
  /** Named by the person instead of ours: then it is used as it is, never started or stopped. */
  readonly external?: string;
  /** True when nothing must be built or installed. Cheap: files only. */
  isPrepared(): boolean;
  /** Downloads what `prepare` needs, while another part prepares. What fails here is told by `prepare`. */
  fetch?(): Promise<void>;
  /** Builds or installs what is missing. One part prepares at a time; other parts may be starting meanwhile. */
  prepare(report: (text: string) => void): Promise<void>;
  /** Undefined for a part that is only a program. */
  readonly service?: Service;
}

export interface Service {
  /** True when it runs and answers. Under a second. */
  isReady(): Promise<boolean>;
  /** The main process, if it has one. */
  pid(): number | undefined;
  start(report: (text: string) => void): Promise<void>;
  /** Ends it and undoes what its start changed on the machine. Works on what is half there, and on nothing. */
  stop(): Promise<void>;
  /** Forgets its data. Called while it is stopped. */
  wipe?(): Promise<void>;
}

export const groups = ['core', 'flux', 'cosign', 'grype', 'builders', 'gitea', 'vscode'] as const;
export type Group = (typeof groups)[number];
