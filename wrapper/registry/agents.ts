import http from 'node:http';
import https from 'node:https';
import type { OnReadOpts, Socket } from 'node:net';

import type { Authorities } from './authorities.js';
import { DirectSocket } from './direct-socket.js';
import type { Proxy } from './proxy.js';

/** How long a connection is kept that nobody uses, and how many of them for each of the agents. */
const longestIdleMs = 15_000;
const mostIdle = 64;

/** Connections that are kept, apart for each proxy and for each set of trusted authorities. */
export class Agents {
  readonly #agents = new Map<string, http.Agent>();

  async agentFor(isSecure: boolean, authorities: Authorities, proxy: Proxy | undefined): Promise<http.Agent> {
    const key = `${isSecure ? authorities.key : ''} ${proxy?.url.href ?? ''}`;
    const known = this.#agents.get(key);
    if (known) return known;
    const made = bounded(await make(isSecure, authorities, proxy));
    // Another request may have been here meanwhile.
    const agent = this.#agents.get(key) ?? made;
    this.#agents.set(key, agent);
    return agent;
  }

  /** From now on connections are made anew, with what is then trusted; those in use end with their answers. */
  renew(): void {
    for (const agent of this.#agents.values()) {
      Object.assign(agent, { keepAlive: false });
      for (const sockets of Object.values(agent.freeSockets)) {
        for (const socket of sockets ?? []) socket.destroy();
      }
    }
    this.#agents.clear();
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }
}

/** Node bounds them for each host alone, and whoever has a server has as many names and ports as they like. */
function bounded(agent: http.Agent): http.Agent {
  const keep = agent.keepSocketAlive.bind(agent);
  agent.keepSocketAlive = (socket) => {
    const idle = Object.values(agent.freeSockets).reduce((sum, sockets) => sum + (sockets?.length ?? 0), 0);
    return idle < mostIdle && keep(socket);
  };
  return agent;
}

/** Without a proxy; what the agents of proxies connect by cannot be told how to read. */
function direct(agent: http.Agent): http.Agent {
  const connect = agent.createConnection.bind(agent) as (options: object, callback: unknown) => Socket;
  agent.createConnection = (options, callback) =>
    DirectSocket.make((onread: OnReadOpts) => connect({ ...options, onread }, callback));
  return agent;
}

async function make(
  isSecure: boolean,
  authorities: Authorities,
  proxy: Proxy | undefined,
): Promise<http.Agent> {
  const kept = { keepAlive: true, timeout: longestIdleMs };
  if (!isSecure) {
    if (!proxy) return direct(new http.Agent(kept));
    const { HttpProxyAgent } = await import('http-proxy-agent');
    return new HttpProxyAgent(proxy.url, { ...kept, ...trust(proxy, authorities) });
  }
  const { secureContext } = authorities;
  if (!proxy) return direct(new https.Agent({ ...kept, secureContext }));
  const { HttpsProxyAgent } = await import('https-proxy-agent');
  const agent = new HttpsProxyAgent(proxy.url, { ...kept, secureContext });
  // What it was made with is for its connection to the proxy; these are for what is on the other side.
  Object.assign(agent.options, { secureContext });
  return agent;
}

function trust({ url }: Proxy, { secureContext }: Authorities): object {
  return url.protocol === 'https:' ? { secureContext } : {};
}
