/** The command line makes no sense; `message` is one sentence that says where. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
