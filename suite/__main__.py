"""`python -m claimbench.suite` is `claimbench`."""

from .cli import main

main()
