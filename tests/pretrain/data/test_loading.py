"""Reading processes ignore SIGTERM while a run saves; they must still end with it."""

from __future__ import annotations

import subprocess
import sys

from tests.paths import ROOT

SCRIPT = """
from torch.utils.data import Dataset
from pretrain.data.loading import load_batches

class Numbers(Dataset):
    def __getitem__(self, key):
        return key

kept = load_batches(Numbers(), [0, 1, 2], workers=2, pin_memory=False)
itself = [kept]
itself.append(itself)  # as a cycle would: nothing collects it before the interpreter ends
assert [next(kept) for _ in range(3)] == [0, 1, 2]
"""


def test_a_program_ends_though_its_reading_processes_were_never_told_to() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0
