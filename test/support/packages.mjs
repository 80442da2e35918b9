/** Debian packages that building and testing Stowage need, and what for. Debian 12 and 13 have all of them. */
export const testPackages = {
  // Building.
  'build-essential': 'compilers, make',
  'pkg-config': 'finds the libraries below',
  'libslurm-dev': 'spank.h; must be of the same release as slurmd',
  'protobuf-c-compiler': 'generates the messages for stowage-enter',
  'libprotobuf-c-dev': 'stowage-enter: messages',
  'libnghttp2-dev': 'stowage-enter: HTTP/2',
  'libjansson-dev': "stowage-enter: reads users' logins, which are in JSON",
  'libarchive-dev': 'stowage-unpack: reads archives',
  'libisal-dev': 'stowage-unpack: inflates gzip layers',
  'libzstd-dev': 'stowage-unpack: zstd layers',
  'libbz2-dev': 'stowage-unpack: root file systems compressed with bzip2',
  'liblzma-dev': 'stowage-unpack: root file systems and squashfs compressed with xz',
  'liblz4-dev': 'stowage-unpack: squashfs compressed with lz4',
  'libssl-dev': 'stowage-unpack: sha256',
  'libseccomp-dev': 'stowage-unpack, stowage-squashfuse: confine themselves',
  'libsquashfs-dev': 'stowage-squashfuse: reads squashfs images',
  // A Slurm to test on.
  munge: 'authenticates inside Slurm',
  slurmctld: 'the controller',
  slurmd: 'the compute nodes',
  'slurm-client': 'srun, sbatch, salloc, sinfo',
  'libpmix-dev': 'srun --mpi=pmix: Slurm loads libpmix.so, a name that only this package has',
  'util-linux': 'unshare, nsenter and setpriv, under which the daemons run',
  iproute2: 'ip, which joins the networks of nodes',
  // Images and a registry to hold them.
  'busybox-static': 'the whole content of the small image',
  'musl-tools': 'compiles for an image whose C library is musl',
  'debian-archive-keyring': 'checks what mmdebstrap downloads',
  mmdebstrap: 'makes the root of the Debian image, and of the Debian 13 of test:slurm-24.11',
  umoci: 'packs roots into OCI images',
  skopeo: 'pushes images to the registry',
  buildah: 'makes images by yet another code',
  'docker-registry': 'the registry',
  openssl: 'makes certificates for registries and for those who sign tokens',
  'perl-base': 'crypt(3) with bcrypt, as docker-registry wants it in its file of passwords',
  'libarchive-tools': 'bsdtar, whose archives the unpacker is tested with',
  cpio: 'whose archives the unpacker is tested with',
  bzip2: 'compresses archives for the unpacker to be tested with',
  'xz-utils': 'xz, which does too',
  'squashfs-tools': 'mksquashfs, whose images the unpacker is tested with',
  zstd: 'compresses layers for the unpacker to be tested with',
  isal: 'igzip, the fastest that a gzip layer can be decompressed: what the benchmark compares with',
  strace: 'counts the system calls of the unpacker, for the benchmark',
  time: 'measures the memory of the unpacker, for the benchmark',
  systemd: 'stowaged.service is tested under it, and judged by systemd-analyze',
  curl: 'asks for the metrics on a unix socket',
  'libcap2-bin': 'getcap, to see that no file has capabilities',
  procps: 'ps, with which CI looks for processes that were left',
  attr: 'setfattr and getfattr, for tests of extended attributes',
};

/** What only who works on Stowage needs besides, on Debian 12. */
const developerPackages = {
  // Fuzzing.
  clang: 'libFuzzer is part of it',
  'libclang-rt-14-dev': 'its sanitizers',
  // Checks.
  'clang-format': 'formatting of C and C++',
};

export const packages = { ...testPackages, ...developerPackages };
