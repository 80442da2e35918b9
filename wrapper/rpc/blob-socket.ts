import type { FileHandle } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';

import { addon } from '../addon/addon.js';
import { reasonOf } from '../error.js';
import type { BlobStore } from '../store/blob-store.js';
import { Complaints } from '../telemetry/complaints.js';
import type { Log } from '../telemetry/log.js';
import { Connections } from './connections.js';
import { DescriptorsInFlight } from './descriptors-in-flight.js';
import { descriptorOf, peerOf } from './peer.js';
import { ticketBytes, type Tickets } from './tickets.js';
import { listenAt } from './unix-socket.js';
import type { TicketedBlobs } from './workshop.js';

const granted = 0;
const refused = Buffer.of(1);
/** How long a caller may take to send its ticket. */
const patienceMs = 10_000;

/** Where tickets become descriptors, for reading only. ContainerPlan.blob_ticket describes the exchange. */
export class BlobSocket {
  private constructor(
    private readonly listener: Server,
    private readonly connections: Connections,
  ) {}

  static async open(
    path: string,
    mode: number,
    tickets: Tickets<TicketedBlobs>,
    store: BlobStore,
    log: Log,
  ): Promise<BlobSocket> {
    const connections = new Connections(64, 512, (uid) =>
      log.write('warning', 'too many blob connections', { uid }),
    );
    const complaints = new Complaints(log);
    const inFlight = new DescriptorsInFlight((uid) => complaints.write(uid, 'descriptors not received'));
    const listener = await listenAt(
      path,
      mode,
      (socket) => {
        socket.on('error', () => undefined);
        try {
          const { uid } = peerOf(socket);
          if (!connections.admit(uid, socket)) {
            socket.destroy();
            return;
          }
          receiveTicket(socket, (ticket) => {
            serve(socket, uid, tickets.redeem(uid, ticket), store, inFlight)
              .catch((error: unknown) =>
                log.write('warning', 'blobs not handed over', { uid, message: reasonOf(error) }),
              )
              .finally(() => socket.destroy());
          });
        } catch (error) {
          log.write('warning', 'connection refused', { message: reasonOf(error) });
          socket.destroy();
        }
      },
      // Whoever only stops sending may still hold descriptors that were not received.
      { allowHalfOpen: true },
    );
    return new BlobSocket(listener, connections);
  }

  close(): void {
    this.listener.close();
    this.connections.destroyAll();
  }
}

/** Calls `onTicket` once: with exactly as many bytes as a ticket has, or with none of them if more came. */
function receiveTicket(socket: Socket, onTicket: (ticket: Buffer) => void): void {
  let received = Buffer.alloc(0);
  const giveUp = (): void => void socket.destroy();
  const timer = setTimeout(giveUp, patienceMs);
  const onData = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk.subarray(0, ticketBytes + 1)]);
    if (received.length < ticketBytes) return;
    clearTimeout(timer);
    socket.off('data', onData).off('end', giveUp);
    socket.pause();
    onTicket(received.length === ticketBytes ? received : Buffer.alloc(0));
  };
  socket.on('data', onData).on('end', giveUp);
  socket.once('close', () => clearTimeout(timer));
}

/** Resolves when the connection is of no more use. */
async function serve(
  socket: Socket,
  uid: number,
  ticketed: TicketedBlobs | undefined,
  store: BlobStore,
  inFlight: DescriptorsInFlight,
): Promise<void> {
  const landed = ticketed && inFlight.begin(uid, ticketed.blobs.length);
  if (!landed) {
    ticketed?.release();
    await new Promise<void>((resolve) => socket.end(refused, resolve));
    return;
  }
  try {
    await handOver(socket, ticketed, store);
    await inFlight.wait(socket);
  } finally {
    landed();
  }
}

async function handOver(
  socket: Socket,
  { blobs, growing, release }: TicketedBlobs,
  store: BlobStore,
): Promise<void> {
  const files = new Map<string, FileHandle>();
  try {
    for (const blob of blobs) {
      if (files.has(blob.digest)) continue;
      files.set(blob.digest, await (growing ? store.openGrowing(blob) : store.open(blob)));
    }
    const fds = blobs.map(({ digest }) => (files.get(digest) as FileHandle).fd);
    addon.sendDescriptors(descriptorOf(socket), granted, fds);
  } finally {
    // The receiver has its own by now, which no eviction can take away.
    release();
    await Promise.all([...files.values()].map((file) => file.close()));
  }
}
