export interface ScanTarget {
  /** `repository@sha256:…` of one platform's manifest. */
  readonly reference: string;
  /** `default` when the image is for one platform only. */
  readonly platform: string;
  readonly isPlainHttp: boolean;
  /** Absolute path for the report, ending in `.json`. */
  readonly reportFile: string;
}
