"""`python -m claimbench.suite` is `claimbench`."""

from .cli import main

if __name__ == "__main__":  # asv imports every module of the suite
    main()
