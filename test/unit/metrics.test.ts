import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';

import { statusOfCode } from '../../wrapper/rpc/status.js';
import { MetricsEndpoint } from '../../wrapper/rpc/metrics-endpoint.js';
import { PrometheusMetrics } from '../../wrapper/telemetry/prometheus.js';
import { readFileSync } from 'node:fs';

const gauged = {
  requests: () => ({ running: 2, waiting: 1 }),
  store: () => ({ bytes: 10, blobs: 3, evictedBlobs: 4 }),
  exchanges: () => [{ method: 'GET', status: '2xx', count: 6 }],
  trees: tmpdir(),
};

describe('metrics', () => {
  const filled = (): PrometheusMetrics => {
    const metrics = new PrometheusMetrics(gauged);
    metrics.requestEnded({
      code: 'ok',
      phasesMs: { total: 40, other: 1 },
      downloadedBytes: 5,
      layers: 'downloaded',
    });
    metrics.requestEnded({ code: 'image-not-found', phasesMs: {}, downloadedBytes: 0, layers: undefined });
    metrics.unpacked(2);
    return metrics;
  };

  it('count requests by code, phases that are known, pulls, bytes and what is running', async () => {
    const text = await filled().text();
    for (const line of [
      'stowage_requests_total{code="ok"} 1',
      'stowage_requests_total{code="image-not-found"} 1',
      'stowage_request_seconds_bucket{le="0.1",phase="total"} 1',
      'stowage_pulls_total{result="downloaded"} 1',
      'stowage_pulls_total{result="cached"} 0',
      'stowage_downloaded_bytes_total 5',
      'stowage_unpack_seconds_sum 2',
      'stowage_requests_running 2',
      'stowage_requests_waiting 1',
      'stowage_store_bytes 10',
      'stowage_evicted_blobs_total 4',
      'stowage_registry_requests_total{method="GET",status="2xx"} 6',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);
    }
    assert.doesNotMatch(text, /phase="other"/);
  });

  it('count once what was counted elsewhere, however often they are asked for', async () => {
    const metrics = filled();
    await metrics.text();
    assert.match(await metrics.text(), /^stowage_evicted_blobs_total 4$/m);
  });

  it('leave out what cannot be known', async () => {
    const metrics = new PrometheusMetrics({ ...gauged, store: () => undefined, trees: '/nonexistent' });
    assert.doesNotMatch(await metrics.text(), /^stowage_(trees|store)_\w+ /m);
  });

  it('have as many values of a label at most as there are codes', async () => {
    const metrics = new PrometheusMetrics(gauged);
    for (const code of Object.keys(statusOfCode)) {
      metrics.requestEnded({ code, phasesMs: {}, downloadedBytes: 0, layers: undefined });
    }
    const labels = (await metrics.text()).match(/^stowage_requests_total\{/gm) ?? [];
    assert.equal(labels.length, Object.keys(statusOfCode).length + 1);
  });

  it('are explained, each of them, in docs/metrics.md', async () => {
    const page = readFileSync('docs/metrics.md', 'utf8');
    const documented = new Set([...page.matchAll(/^\| `(stowage_\w+)/gm)].map(([, name]) => name));
    const shown = [...(await filled().text()).matchAll(/^# TYPE (stowage_\w+) /gm)].map(([, name]) => name);
    assert.deepEqual([...documented].sort(), shown.sort());
  });

  describe('served', () => {
    let endpoint: MetricsEndpoint;
    let port: number;

    before(async () => {
      const address = { host: '127.0.0.1', port: 0 };
      endpoint = await MetricsEndpoint.open(address, 0o666, filled());
      port = endpoint.port ?? assert.fail();
    });
    after(() => endpoint.close());

    const answer = async (path: string, method = 'GET'): Promise<{ status: number; text: string }> => {
      const asked = method === 'GET' ? get({ port, path }) : httpRequest({ port, path, method }).end();
      const [response] = (await once(asked, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }];
      let text = '';
      for await (const chunk of response) text += String(chunk);
      return { status: response.statusCode, text };
    };

    it('at /metrics to GET, and to nothing else', async () => {
      const { status, text } = await answer('/metrics');
      assert.equal(status, 200);
      assert.match(text, /^stowage_requests_total/m);
      assert.equal((await answer('/')).status, 404);
      assert.equal((await answer('/metrics', 'POST')).status, 405);
    });

    it('to sixteen at once, and to the next when one has gone', async () => {
      const sockets: Socket[] = [];
      for (let i = 0; i < 40; i++) sockets.push(connect(port, '127.0.0.1').on('error', () => undefined));
      const open = (): number => sockets.filter((socket) => !socket.closed).length;
      while (open() > 16) await new Promise((resolve) => setTimeout(resolve, 20));
      for (const socket of sockets) socket.destroy();
      for (;;) {
        const status = await answer('/metrics').then(
          (given) => given.status,
          () => 0,
        );
        if (status === 200) break;
      }
    });
  });
});
