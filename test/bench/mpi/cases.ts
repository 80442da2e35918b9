/** A library, and how its two ranks lie. */
export interface MpiCase {
  readonly name: string;
  readonly library: 'openmpi' | 'mpich';
  /** Of `srun --mpi=`. */
  readonly launch: 'pmix' | 'pmi2';
  readonly nodes: 1 | 2;
}

const libraries = [
  { title: 'Open MPI', library: 'openmpi', launch: 'pmix' },
  { title: 'MPICH', library: 'mpich', launch: 'pmi2' },
] as const;

const places = [
  { nodes: 1, where: 'one node' },
  { nodes: 2, where: 'two nodes' },
] as const;

export const mpiCases: readonly MpiCase[] = libraries.flatMap(({ title, library, launch }) =>
  places.map(({ nodes, where }) => ({ name: `${title}, ${where}`, library, launch, nodes })),
);

/** What both contenders execute, in the image or in its tree on the host. */
const program = ({ library }: MpiCase): string => `/usr/local/bin/pingpong-${library}`;

const srun = ({ launch, nodes }: MpiCase, job: string): string[] => [
  ...['srun', `--jobid=${job}`, `--nodes=${nodes}`, '--ntasks=2', `--mpi=${launch}`],
  // The first node of two has both ranks otherwise.
  `--ntasks-per-node=${2 / nodes}`,
];

export const inImage = (wanted: MpiCase, job: string, reference: string): string[] => [
  ...srun(wanted, job),
  `--image=${reference}`,
  program(wanted),
];

/**
 * On the host, the very files of the image: its program, started by its loader, with its libraries, which lie in `root`.
 * Whatever the host has installed takes no part.
 */
export const onHost = (wanted: MpiCase, job: string, root: string): string[] => {
  const libraries = `${root}/usr/lib/x86_64-linux-gnu`;
  const loader = `${root}/lib64/ld-linux-x86-64.so.2`;
  return [
    // Where Open MPI and PMIx look for their plugins.
    ...['env', `OPAL_PREFIX=${root}/usr`, `PMIX_PREFIX=${root}/usr`],
    ...srun(wanted, job),
    ...[loader, '--library-path', libraries, `${root}${program(wanted)}`],
  ];
};
