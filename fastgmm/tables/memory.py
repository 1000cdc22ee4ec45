"""How much memory there is, and what is too large for it."""

from __future__ import annotations

import contextlib

__all__ = ["available_memory", "is_large"]

#: A table is read block by block if its numbers would take more than this share of the memory that is available.
LARGE_SHARE = 0.25


def is_large(n_bytes: int) -> bool:
    """Return whether numbers of so many bytes are too many to be loaded without being asked."""
    return n_bytes > LARGE_SHARE * available_memory()


def available_memory() -> float:
    """Return the bytes that this process may still use: of the machine, the control group, and the process's limits."""
    found = [float("inf")]
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo") as file:
        found.append(1024.0 * next(int(line.split()[1]) for line in file if line.startswith("MemAvailable")))
    for cgroup, names in (("memory.", ("max", "current")), ("memory/memory.", ("limit_in_bytes", "usage_in_bytes"))):
        limit, used = (f"/sys/fs/cgroup/{cgroup}{name}" for name in names)
        with contextlib.suppress(OSError, ValueError), open(limit) as most, open(used) as now:
            found.append(float(most.read()) - float(now.read()))
    with contextlib.suppress(ImportError):
        import resource

        for name in ("RLIMIT_AS", "RLIMIT_DATA"):
            soft = resource.getrlimit(getattr(resource, name))[0]
            found.append(float("inf") if soft == resource.RLIM_INFINITY else float(soft))
    return max(0.0, min(found))
