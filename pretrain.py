"""`accelerate launch pretrain.py CONFIG.yaml`: see pretrain/train.py."""

from pretrain.train import main

if __name__ == "__main__":
    main()
