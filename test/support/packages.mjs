/** Debian packages that building and testing Stowage need, and what for. */
export const packages = {
  // Building.
  'build-essential': 'compilers, make',
  'pkg-config': 'finds the libraries below',
  'libslurm-dev': 'spank.h; must be of the same release as slurmd',
  'protobuf-c-compiler': 'generates the messages for stowage-enter',
  'libprotobuf-c-dev': 'stowage-enter: messages',
  'libnghttp2-dev': 'stowage-enter: HTTP/2',
  'libarchive-dev': 'stowage-unpack: reads archives',
  'libisal-dev': 'stowage-unpack: inflates gzip layers',
  'libzstd-dev': 'stowage-unpack: zstd layers',
  'libssl-dev': 'stowage-unpack: sha256',
  'libseccomp-dev': 'stowage-unpack: confines itself',
  // A Slurm to test on.
  munge: 'authenticates inside Slurm',
  slurmctld: 'the controller',
  slurmd: 'the compute nodes',
  'slurm-client': 'srun, sbatch, salloc, sinfo',
  'libpmix-dev': 'srun --mpi=pmix: Slurm loads libpmix.so, a name that only this package has',
  'util-linux': 'unshare and setpriv, under which the daemons run',
  // Images and a registry to hold them.
  'busybox-static': 'the whole content of the small image',
  'debian-archive-keyring': 'checks what mmdebstrap downloads',
  mmdebstrap: 'makes the root of the Debian image',
  umoci: 'packs roots into OCI images',
  skopeo: 'pushes images to the registry',
  'docker-registry': 'the registry',
  'libarchive-tools': 'bsdtar, whose archives the unpacker is tested with',
  zstd: 'compresses layers for the unpacker to be tested with',
  'libcap2-bin': 'getcap, to see that no file has capabilities',
  procps: 'ps, with which CI looks for processes that were left',
  attr: 'setfattr and getfattr, for tests of extended attributes',
  // Checks.
  'clang-format': 'formatting of C and C++',
};
