"""`python -m anomaly_pretext COMMAND ...`, and `accelerate launch -m anomaly_pretext COMMAND ...`."""

from anomaly_pretext.command import main

if __name__ == "__main__":
    main()
