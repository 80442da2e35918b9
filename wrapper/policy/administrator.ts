import { StowageError } from '../error.js';

/** Whether a caller may see and change what is other users': the superuser and the daemon's own user. */
export function isAdministrator(callerUid: number, ownUid: number): boolean {
  return callerUid === 0 || callerUid === ownUid;
}

/** Throws `caller-denied` if a caller asks for all users' images and is no administrator. */
export function admitAllUsers(callerUid: number, ownUid: number): void {
  if (isAdministrator(callerUid, ownUid)) return;
  throw new StowageError(
    'caller-denied',
    `images of all users are for root and the user with uid ${ownUid}; leave --all-users out for your own`,
  );
}
