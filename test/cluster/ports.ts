import { createServer } from 'node:net';
import { ClusterError } from './error.js';

// Below the kernel's ephemeral range (from 32768), so that no passing client sits on the port of a
// daemon that is being restarted.
const lowest = 20_000;
const highest = 32_000;

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });

/** That many different ports on which nothing listens on the loopback interface. */
export const freePorts = async (count: number): Promise<number[]> => {
  const ports = new Set<number>();
  for (let attempt = 0; ports.size < count && attempt < 50 * count; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  if (ports.size < count) throw new ClusterError(`no ${count} free ports between ${lowest} and ${highest}`);
  return [...ports];
};
