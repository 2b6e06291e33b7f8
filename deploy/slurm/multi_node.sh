#!/usr/bin/env bash
#SBATCH --job-name=anomaly-pretext
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# Several machines, all of their GPUs: one torchrun on each, which meet on the first. From the repository's root, which
# lies, with videos, caches and runs, on a disk that all machines share:
#
#     sbatch --nodes=4 deploy/slurm/multi_node.sh pretrain.py CONFIG.yaml [--flag value ...]
#
# RESUME: nothing, for commands that go on by themselves and have no --resume (extraction, detection, calibration).
# PROCESSES: how many a machine, where it is not the number of GPUs. CONTAINER: what stands before the command on each
# node, for instance "apptainer exec --nv image.sif". docs/clusters.md has the rest.
set -uo pipefail
# shellcheck source=deploy/slurm/requeue.sh
source "$SLURM_SUBMIT_DIR/deploy/slurm/requeue.sh"
cd "$SLURM_SUBMIT_DIR" || exit 1
read -ra container <<<"${CONTAINER:-}"
read -ra resume <<<"${RESUME---resume}"
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")

# the job's own port: two jobs may share a machine
run_and_requeue srun --kill-on-bad-exit=1 ${container[@]+"${container[@]}"} \
    torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}}" \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "${hosts[0]}:$((20000 + SLURM_JOB_ID % 20000))" \
    "$@" ${resume[@]+"${resume[@]}"}
