"""`python -m demo`, which `make demo` runs."""

from demo.command import main

if __name__ == "__main__":
    main()
