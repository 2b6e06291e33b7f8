#!/usr/bin/env bash
#SBATCH --job-name=anomaly-pretext
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# One machine, all of its GPUs. From the repository's root, with the environment active:
#
#     sbatch deploy/slurm/single_node.sh pretrain.py CONFIG.yaml [--flag value ...]
#     sbatch --gpus-per-node=8 deploy/slurm/single_node.sh -m anomaly_pretext pretrain CONFIG.yaml
#
# RESUME: nothing, for commands that go on by themselves and have no --resume (extraction, detection, calibration).
# PROCESSES: how many, where it is not the number of GPUs. CONTAINER: what stands before the command on the node, for
# instance "apptainer exec --nv image.sif". docs/clusters.md has the rest.
set -uo pipefail
# shellcheck source=deploy/slurm/requeue.sh
source "$SLURM_SUBMIT_DIR/deploy/slurm/requeue.sh"
cd "$SLURM_SUBMIT_DIR" || exit 1
read -ra container <<<"${CONTAINER:-}"
read -ra resume <<<"${RESUME---resume}"

run_and_requeue srun --kill-on-bad-exit=1 ${container[@]+"${container[@]}"} \
    torchrun --standalone --nproc-per-node "${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}}" "$@" ${resume[@]+"${resume[@]}"}
