import type { Socket } from 'node:net';

import { addon, type PeerCredentials } from '../addon/addon.js';
import { StowageError } from '../error.js';

/** The descriptor of a connected socket; throws if it is closed already. */
export function descriptorOf(socket: Socket): number {
  // Not in Node's documentation, but the only way to a descriptor that Node itself accepted.
  const fd = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) throw new Error('the socket is closed');
  return fd;
}

/** Who is at the other end, as the kernel says. */
export function peerOf(socket: Socket): PeerCredentials {
  return addon.peerCredentials(descriptorOf(socket));
}

/**
 * grpc-js tells a handler nothing about the socket but its remoteAddress, which a unix socket does not
 * have: so that is where the peer travels. Nobody else can set it.
 */
export function labelSocket(socket: Socket, { pid, uid, gid }: PeerCredentials): void {
  Object.defineProperty(socket, 'remoteAddress', { value: `peer ${pid} ${uid} ${gid}` });
}

/** The other half: `label` is call.getPeer(). Fails closed. */
export function peerFromLabel(label: string): PeerCredentials {
  const match = /^peer (\d+) (\d+) (\d+)$/.exec(label);
  if (!match) throw new StowageError('internal', 'stowaged cannot tell who called; report it');
  return { pid: Number(match[1]), uid: Number(match[2]), gid: Number(match[3]) };
}
