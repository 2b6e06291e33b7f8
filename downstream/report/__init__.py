"""One self-contained page per run: what was found in which video, and what another threshold would find."""
