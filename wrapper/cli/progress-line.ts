import { escapeControls } from '../image/quote.js';
import { formatBytes } from './format.js';
import type { Terminal } from './surroundings.js';

/** How often a line on a terminal changes, and how often a line is added anywhere else. */
const redrawMs = 100;
const lineMs = 5000;
/** What is over sooner needs no line in a log. */
const quietMs = 2000;

/**
 * Says how far a long piece of work has come: one line that changes on a terminal, a plain line every few
 * seconds elsewhere, nothing if `quiet`.
 */
export class ProgressLine {
  #dueMs: number;
  #shown = false;
  #phase = '';
  #phaseBeganMs = 0;
  #phaseBeganBytes = 0;

  constructor(
    private readonly terminal: Terminal,
    private readonly quiet: boolean,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#dueMs = this.now() + (terminal.isTTY === true ? 0 : quietMs);
  }

  /** `doing` is a phrase such as "unpacking ubuntu:24.04". Speed is counted from the first call with it. */
  bytes(doing: string, doneBytes: number, totalBytes: number): void {
    if (doing !== this.#phase) {
      this.#phase = doing;
      this.#phaseBeganMs = this.now();
      this.#phaseBeganBytes = doneBytes;
    }
    const seconds = (this.now() - this.#phaseBeganMs) / 1000;
    const speed = seconds > 0 ? (doneBytes - this.#phaseBeganBytes) / seconds : 0;
    const share = totalBytes > 0 ? Math.floor((100 * doneBytes) / totalBytes) : 100;
    const figures = `: ${share}% of ${formatBytes(totalBytes)}`;
    this.#show(doing, speed > 0 ? `${figures}, ${(speed / 1e6).toFixed(1)} MB/s` : figures);
  }

  /** Why nothing moves, as a sentence; an empty one means that it moves again. */
  waiting(sentence: string): void {
    if (sentence !== '') this.#show(sentence);
  }

  /** A line that stays. */
  say(sentence: string): void {
    if (this.quiet) return;
    this.clear();
    this.terminal.write(`stowage: ${escapeControls(sentence)}\n`);
  }

  /** Takes the changing line off the terminal. */
  clear(): void {
    if (this.#shown) this.terminal.write('\r\u001b[K');
    this.#shown = false;
  }

  /** On a narrow terminal it is the end of `text` that has to go. */
  #show(text: string, figures = ''): void {
    if (this.quiet || this.now() < this.#dueMs) return;
    const line = `stowage: ${escapeControls(text)}`;
    if (this.terminal.isTTY === true) {
      this.#dueMs = this.now() + redrawMs;
      this.#shown = true;
      // In the last column the terminal would begin a new line.
      const room = (this.terminal.columns || 80) - 1 - figures.length;
      const shown = line.length > room ? `${line.slice(0, Math.max(room - 1, 0))}…` : line;
      this.terminal.write(`\r${shown}${figures}\u001b[K`);
    } else {
      this.#dueMs = this.now() + lineMs;
      this.terminal.write(`${line}${figures}\n`);
    }
  }
}
