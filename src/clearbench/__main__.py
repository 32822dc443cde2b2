"""`python -m clearbench` is `clearbench`."""

from clearbench.cli import main

if __name__ == "__main__":
    main()
