"""Independent tasks on workers: processes of this machine, a dask cluster, or SLURM's jobs.

tasks  ->  schedule  ->  pool  ->  workers, which may die, lie or be late
"""

from .pools import Pool, PoolError, WorkerLost, open_pool
from .schedule import Call, Policy, Task, asked, schedule

__all__ = [
    "Call",
    "Policy",
    "Pool",
    "PoolError",
    "Task",
    "WorkerLost",
    "asked",
    "open_pool",
    "schedule",
]
