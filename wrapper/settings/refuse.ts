/** Ends the reading of a text for a reason that is the end of a sentence about it. */
export type Refuse = (reason: string) => never;
