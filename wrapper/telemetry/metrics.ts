/** What a Prepare call came to, for counting. */
export interface EndedRequest {
  /** "ok", "cancelled" or a code of docs/errors.md. */
  code: string;
  phasesMs: Readonly<Record<string, number>>;
  downloadedBytes: number;
  /** How a plan's layers were come by; undefined without a plan. */
  layers: 'downloaded' | 'cached' | 'unpacked' | undefined;
}

/** Counts what happens. Nothing that is counted names a user or an image. */
export interface Metrics {
  requestEnded(request: EndedRequest): void;
  /** A caller's word, and never added to what was measured here. */
  unpacked(seconds: number): void;
  connectionRefused(): void;
}

/** For a daemon that nobody asks for metrics. */
export const noMetrics: Metrics = {
  requestEnded: () => undefined,
  unpacked: () => undefined,
  connectionRefused: () => undefined,
};
