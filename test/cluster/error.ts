/** A sentence for whoever runs the cluster; `detail` is what a program printed, if anything. */
export class ClusterError extends Error {
  readonly code = 'CLUSTER';
  readonly detail: string;

  constructor(message: string, options: { detail?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'ClusterError';
    this.detail = options.detail ?? '';
  }
}
