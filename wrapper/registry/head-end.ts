const end = Buffer.from('\r\n\r\n');

/** Finds where the head of an HTTP answer ends, which may come in pieces; RFC 9112 section 2.1. */
export class HeadEnd {
  #matched = 0;

  /** How many of these bytes belong to the head: all of them if it goes on. Begins anew after each end. */
  find(bytes: Buffer): number {
    for (let at = 0; at < bytes.length; at++) {
      const isNext = bytes[at] === end[this.#matched];
      this.#matched = isNext ? this.#matched + 1 : bytes[at] === end[0] ? 1 : 0;
      if (this.#matched < end.length) continue;
      this.#matched = 0;
      return at + 1;
    }
    return bytes.length;
  }
}
