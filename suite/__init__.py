"""What is claimed, what was run, what came out.

definitions.py  what a claim file holds         checking.py   is it right, and where is it not
data/           data sets                       evaluation.py what passes between the next two
protocols.py    how a trial splits              methods/      what is compared
cells.py        what must be measured           runner.py     measuring what is missing
records.py      what came out                   rules.py, verdicts.py   what it says of the claim
cli.py          the command line                benchmarks/   what asv follows
"""

import os

# Threads of OpenMP that wait in a loop take the core from those that work: on two busy cores six
# training steps took 7 to 31 s instead of 1. It is read once, when torch or numba is first loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
