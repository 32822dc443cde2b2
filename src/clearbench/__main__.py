"""Runs the command line as `python -m clearbench`."""

from clearbench.cli import main

if __name__ == "__main__":
    main()
