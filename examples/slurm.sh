#!/bin/bash
# One model on several machines of a SLURM cluster: sbatch examples/slurm.sh
# Each task is one host of the fit. SLURM tells it where host 0 is and which one it is itself.
#SBATCH --job-name=taut
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue

# A run that was stopped by the time limit goes on; data and run folder lie where all machines see them.
# `taut infer PROGRAM --data FILE --subsample PLATE:ROWS` runs like `taut fit`; its resume names PROGRAM, too.
data=${DATA:-digits}
run=${RUN:-runs/slurm}

if [ -f "$run/config.toml" ]; then
    srun taut resume "$run" --hosts auto
else
    srun taut fit "$data" --out "$run" --hosts auto
fi
