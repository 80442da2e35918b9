/** Where text for people goes; `process.stderr` is one. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** All that a command knows of the process it runs in. */
export interface Surroundings {
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** Absolute; what relative paths are relative to. */
  readonly cwd: string;
  /** The user's home directory, absolute. */
  readonly home: string;
  readonly uid: number;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** Aborted, with an Interruption as the reason, when somebody wants the command to end. */
  readonly signal: AbortSignal;
}
