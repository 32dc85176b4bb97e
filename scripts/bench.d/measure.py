"""Measuring: one run of a command, runs that alternate, medians, and what a mount's process has used."""

import os
import random
import statistics
import subprocess
import time
from pathlib import Path

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program that was to be measured did not do its work."""


def run(command, env, cwd=None, stdout=subprocess.DEVNULL):
    """Runs `command` to its end: its wall time and processor time in seconds, its largest resident size in bytes."""
    log = os.memfd_create("stderr")
    began = time.perf_counter()
    child = subprocess.Popen(
        [os.fspath(part) for part in command], env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=log
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    said = os.pread(log, 1 << 16, 0).decode(errors="replace")
    os.close(log)
    if child.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: exit code {child.returncode}\n{said}")
    return {"value": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024}


def alternate(runs, programs, progress, warm_up=False):
    """Runs each of `programs` (name to function) `runs` times, one after the other in turn: name to samples. With `warm_up`,
    each time right after a run of the same program that does not count: the host of a virtual machine takes back memory and
    processors that were not used for some seconds, and whoever comes next waits until it has them again."""
    samples = {name: [] for name in programs}
    for number in range(runs):
        for name, measured in programs.items():
            progress(f"{name}, {number + 1} of {runs}")
            if warm_up:
                measured()
            samples[name].append(measured())
    return samples


def median(samples, key="value"):
    """The median of one figure of `samples`."""
    return statistics.median(sample[key] for sample in samples)


def settle():
    """Waits until what was written before is on disk, so that the next does not pay for it."""
    os.sync()


def warm(directory):
    """Has every file below `directory` in the page cache."""
    for path in directory.rglob("*"):
        if path.is_file():
            with open(path, "rb", buffering=0) as file:
                while file.read(8 * MIB):
                    pass


class Served:
    """The process behind a mount: the one that has its directory among its arguments."""

    def __init__(self, directory):
        self.directory = os.fsencode(directory)
        self.pid = self._find()
        # Started by a program that is gone, it is nobody's child: only /proc tells what it uses.
        self.proc = Path("/proc") / str(self.pid)

    def _find(self):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if self.directory in (entry / "cmdline").read_bytes().split(b"\0"):
                        return int(entry.name)
                except OSError:
                    continue
        raise Failed(f"no process serves {os.fsdecode(self.directory)}")

    def cpu(self):
        """Processor time so far, in seconds."""
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """Its largest resident size so far, in bytes."""
        for line in (self.proc / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise Failed(f"process {self.pid} has ended")

    def await_end(self):
        """Waits for its end after it was unmounted; mounting again would meet its lock."""
        deadline = time.monotonic() + 30
        while self.proc.exists():
            if time.monotonic() > deadline:
                raise Failed(f"process {self.pid} goes on after {os.fsdecode(self.directory)} was unmounted")
            time.sleep(0.01)


def random_reads(path, count, size, seed):
    """Reads `size` bytes at `count` uniform places: mean, median and 99th percentile in milliseconds."""
    places = random.Random(seed)
    file = os.open(path, os.O_RDONLY)
    try:
        last = os.fstat(file).st_size - size
        took = []
        for _ in range(count):
            at = places.randrange(last)
            began = time.perf_counter()
            if len(os.pread(file, size, at)) != size:
                raise Failed(f"{path}: a short read at {at}")
            took.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
    took.sort()
    return {"value": statistics.fmean(took), "p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}


def read_through(path):
    """Reads the whole file in pieces of 1 MiB, as cp does: the seconds it took."""
    buffer = bytearray(MIB)
    began = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.perf_counter() - began
