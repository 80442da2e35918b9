import { status, type sendUnaryData, type ServerUnaryCall, type ServerWritableStream } from '@grpc/grpc-js';

import {
  type HealthCheckRequestMessage,
  type HealthCheckResponseMessage,
  imageServiceName,
  ServingStatus,
} from './definitions.js';

type WatchCall = ServerWritableStream<HealthCheckRequestMessage, HealthCheckResponseMessage>;

/** https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
export class HealthService {
  #serving = true;
  readonly #watchers = new Set<WatchCall>();

  check(
    call: ServerUnaryCall<HealthCheckRequestMessage, HealthCheckResponseMessage>,
    answer: sendUnaryData<HealthCheckResponseMessage>,
  ): void {
    if (known(call.request.service)) answer(null, { status: this.#status() });
    else answer({ code: status.NOT_FOUND, details: 'stowaged has no such service' });
  }

  watch(call: WatchCall): void {
    if (!known(call.request.service)) {
      call.write({ status: ServingStatus.SERVICE_UNKNOWN });
      return;
    }
    call.write({ status: this.#status() });
    this.#watchers.add(call);
    call.on('cancelled', () => this.#watchers.delete(call));
  }

  /** Tells every watcher that this daemon stops, and lets them go. */
  stop(): void {
    this.#serving = false;
    for (const watcher of this.#watchers) {
      watcher.write({ status: this.#status() });
      watcher.end();
    }
    this.#watchers.clear();
  }

  #status(): ServingStatus {
    return this.#serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }
}

function known(service: string): boolean {
  return service === '' || service === imageServiceName;
}
