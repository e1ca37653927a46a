// What a link of the delivery chain is, and how one is made.
import { type KubeObject, refOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import type { Cause } from './causes.ts';
import { type Reminder, reminderOf } from './reminder.ts';

/** Pushed is what comes before: only the registry knows it. */
export type ChainStep = 'scanned' | 'chosen' | 'committed' | 'fetched' | 'applied' | 'released' | 'rolled-out';

export interface ChainLink {
  readonly step: ChainStep;
  readonly object: ObjectRef;
  /**
   * `done`: what came before has gone through here. `waiting`: nothing is wrong, its time has not come (`message` says
   * when). `stuck`: it does not go on without somebody, or fails again and again; `cause` says why.
   */
  readonly state: 'done' | 'working' | 'waiting' | 'stuck' | 'suspended';
  /** One sentence without the object's name. */
  readonly message: string;
  readonly cause?: Cause;
  readonly reminder?: Reminder;
}

export interface Said {
  readonly state: ChainLink['state'];
  readonly message: string;
  readonly cause?: Cause;
}

export const done = (message: string): Said => ({ state: 'done', message });
export const waiting = (message: string): Said => ({ state: 'waiting', message });
export const stuck = (cause: Cause): Said => ({ state: 'stuck', message: cause.message, cause });

export function link(step: ChainStep, object: KubeObject, said: Said): ChainLink {
  const reminder = reminderOf(object);
  return { step, object: refOf(object), ...said, ...(reminder !== undefined && { reminder }) };
}
