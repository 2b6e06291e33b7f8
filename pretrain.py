"""`accelerate launch pretrain.py CONFIG.yaml`: see pretrain/train.py."""

import os

# Reading processes and training threads share the cores: threads that spin while they wait take them from each other
# (measured on two busy cores: 3 times the clips per second). OpenMP reads this when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pretrain.train import main

if __name__ == "__main__":
    main()
