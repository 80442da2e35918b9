/** Of one piece: large enough that what is done once for each does not count. */
const pieceBytes = 1024 * 1024;

/**
 * Memory for the bytes of large bodies. It is used again and again, as V8 would spend more time on collecting it than
 * everything else takes; what nobody gives back is collected like any other.
 */
class ReadMemory {
  readonly #free: Buffer[] = [];
  readonly #lent = new WeakSet<ArrayBufferLike>();

  take(): Buffer {
    const piece = this.#free.pop() ?? Buffer.allocUnsafeSlow(pieceBytes);
    this.#lent.add(piece.buffer);
    return piece;
  }

  /** For whoever has a chunk last: nobody reads it any more. Chunks of other memory are left alone. */
  giveBack(chunk: Uint8Array): void {
    if (this.#lent.delete(chunk.buffer)) this.#free.push(Buffer.from(chunk.buffer));
  }

  /** Keeps nothing. */
  clear(): void {
    this.#free.length = 0;
  }
}

export const readMemory = new ReadMemory();
