/** What tells a rank which rank it is must come from Slurm, whatever an image was built with or a user asks for. */
export const jobOwn = /^(?:SLURM|SLURMD|PMI|PMI2|PMIX|STOWAGE)_/;
