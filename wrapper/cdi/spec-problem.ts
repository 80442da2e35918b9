/** Why a specification cannot be used: "/etc/cdi/x.yaml:12: devices[0].name is missing". */
export class SpecProblem extends Error {
  constructor(
    readonly path: string,
    /** From 1; undefined if it is about the whole file. */
    readonly line: number | undefined,
    what: string,
    /** Of the devices, as far as it could be read. */
    readonly kind?: string,
  ) {
    super(`${path}${line === undefined ? '' : `:${line}`}: ${what}`);
    this.name = new.target.name;
  }
}
