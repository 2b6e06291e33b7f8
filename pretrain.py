"""`accelerate launch pretrain.py CONFIG.yaml`: see pretrain/command.py and pretrain/train.py."""

from pretrain.command import main

if __name__ == "__main__":
    main()
