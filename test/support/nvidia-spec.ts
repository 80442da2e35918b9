/** What stands for the files of a driver in another place; as they are on a node with one unless given. */
export interface NvidiaSpecOptions {
  /** With nvidia0, nvidia1 and nvidiactl. */
  nodes?: string;
  /** With libcuda.so.550.54.15. */
  libraries?: string;
  /** Where they are to be in the container. */
  inside?: string;
  /** What runs enable-cuda-compat. */
  hook?: string;
}

/** A specification as `nvidia-ctk cdi generate` writes it, of two GPUs. */
export function nvidiaSpec({
  nodes = '/dev',
  libraries = '/usr/lib/x86_64-linux-gnu',
  inside = '/usr/lib/x86_64-linux-gnu',
  hook = '/usr/bin/nvidia-cdi-hook',
}: NvidiaSpecOptions = {}): string {
  const device = (name: string, ...numbers: string[]): string[] => [
    `- containerEdits:`,
    `    deviceNodes:`,
    ...numbers.flatMap((number) => [
      `    - path: /dev/nvidia${number}`,
      ...(nodes === '/dev' ? [] : [`      hostPath: ${nodes}/nvidia${number}`]),
    ]),
    `  name: "${name}"`,
  ];
  const call = (...args: string[]): string[] => [
    `  - args:`,
    ...['nvidia-cdi-hook', ...args].map((arg) => `    - ${arg}`),
    `    hookName: createContainer`,
    `    path: ${hook}`,
  ];
  return [
    `---`,
    `cdiVersion: 0.5.0`,
    `containerEdits:`,
    `  deviceNodes:`,
    `  - path: /dev/nvidiactl`,
    ...(nodes === '/dev' ? [] : [`    hostPath: ${nodes}/nvidiactl`]),
    `  env:`,
    `  - NVIDIA_VISIBLE_DEVICES=void`,
    `  hooks:`,
    ...call(
      ...['create-symlinks', '--link', `libcuda.so.1::${inside}/libcuda.so`],
      ...['--link', `../libnvidia-allocator.so.1::${inside}/gbm/nvidia-drm_gbm.so`],
    ),
    ...call('enable-cuda-compat', '--host-driver-version=550.54.15'),
    ...call('update-ldcache', '--folder', inside),
    ...call('disable-device-node-modification'),
    ...call('chmod', '--mode', '"755"', '--path', '/dev/dri'),
    `  mounts:`,
    `  - containerPath: ${inside}/libcuda.so.550.54.15`,
    `    hostPath: ${libraries}/libcuda.so.550.54.15`,
    `    options:`,
    ...['ro', 'nosuid', 'nodev', 'bind'].map((option) => `    - ${option}`),
    `devices:`,
    ...device('0', '0'),
    ...device('1', '1'),
    ...device('0:1', '0'),
    ...device('GPU-8d3e', '0'),
    ...device('all', '0', '1'),
    `kind: nvidia.com/gpu`,
    ``,
  ].join('\n');
}
