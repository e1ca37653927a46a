import * as v from 'valibot';
import type { System } from '../system/index.ts';
import type { CiHttp, CiRequest } from './http.ts';
import type { CiRepository, RateLimit } from './model.ts';

/** Runs in a list, when nobody says how many. */
export const DEFAULT_MOST = 20;

/** A field that hosts leave out or write as null. */
export const nullish = <T extends v.GenericSchema>(schema: T) => v.optional(v.nullable(schema));

/** What the clients of all hosts have alike: one way to ask, for one repository. */
export abstract class HostClient {
  protected readonly http: CiHttp;
  protected readonly system: System;

  constructor(http: CiHttp, system: System) {
    this.http = http;
    this.system = system;
  }

  get repository(): CiRepository {
    return this.http.repository;
  }

  get credential(): string {
    return this.http.credential;
  }

  rate = (): RateLimit | undefined => this.http.rate;

  /** The path of something of the repository, below the API's base. */
  protected abstract path(rest: string): string;

  protected async post(request: Omit<CiRequest, 'method'>): Promise<void> {
    await this.http.send({ ...request, method: 'POST' });
  }
}
