"""What is measured, and what it has to reach. The rows of a measure come from one preparation and one run."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from measure import MIB, alternate, random_reads, read_through, run, settle
from place import Mounted


@dataclass(frozen=True)
class Target:
    """What a row has to reach: `faster`, so many times as fast as `than`; `within`, at most so many times its time;
    `below`, at most so many bytes."""

    kind: str
    value: float
    than: str = "borg"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    id: str
    title: str
    targets: tuple
    unit: str = "s"


@dataclass
class Measure:
    """What `scripts/bench borg NAME` runs: `take(place, runs)` gives the samples of each row by program."""

    rows: list
    take: object
    runs: int = 3


def faster(id, title, times, **more):
    """A row that is compared with borg alone."""
    return Row(id, title, (Target("faster", times),), **more)


def below(id, title, limit):
    """A row about memory."""
    return Row(id, title, (Target("below", limit),), unit="MB")


def decode(place, runs):
    """Everything is read, decrypted, decompressed and verified, and goes nowhere."""
    rows = {}
    for encryption in ["repokey", "repokey-blake2"]:
        archive = f"{place.mixed(encryption)}::mixed"
        rows[f"decode-{encryption}"] = alternate(runs, {
            "reprise": lambda: run([place.reprise, "extract", "--dry-run", archive], place.reprise_env()),
            "borg": lambda: run(["borg", "extract", "--dry-run", archive], place.borg_env),
        }, place.progress, warm_up=True)
    return rows


def extracting(place, archive, parent, *paths):
    """Functions that extract into a new directory below `parent`, which is gone afterwards."""

    def into_new(command, env):
        target = Path(tempfile.mkdtemp(prefix="extracted.", dir=parent))
        try:
            settle()
            return run(command(target), env, cwd=target)
        finally:
            shutil.rmtree(target)

    return {
        "reprise": lambda: into_new(lambda _: [place.reprise, "extract", archive, *paths], place.reprise_env()),
        "borg": lambda: into_new(lambda _: ["borg", "extract", archive, *paths], place.borg_env),
        # The very same tree, which is in the page cache.
        "cp -a": lambda: into_new(lambda to: ["cp", "-a", *(place.tree() / path for path in paths), to], place.borg_env),
    }


def large(place, runs):
    """Large files to memory: no disk is in the way."""
    programs = extracting(place, f"{place.mixed('repokey')}::mixed", place.memory, "large")
    del programs["cp -a"]
    return {"extract-large": alternate(runs, programs, place.progress, warm_up=True)}


def small(place, runs):
    """Small files to ext4, where creating them is the work."""
    programs = extracting(place, f"{place.mixed('repokey')}::mixed", place.new_ext4(), "small")
    return {"extract-small": alternate(runs, programs, place.progress, warm_up=True)}


def ssh(place, runs):
    """Large files through `borg serve` behind a real ssh."""
    programs = extracting(place, f"{place.ssh(place.mixed('repokey'))}::mixed", place.memory, "large")
    del programs["cp -a"]

    def with_server(program):
        before = place.server.cpu()
        return programs[program]() | {"server_cpu": place.server.cpu() - before}

    both = {program: lambda p=program: with_server(p) for program in programs}
    return {"extract-ssh": alternate(runs, both, place.progress)}


def two_hundred_thousand(place):
    """The archive of 200,000 items."""
    return f"{place.many('items-200k', 200_000 // place.scale)}::items"


def listing(place, runs):
    """Every item, a line each."""
    archive = two_hundred_thousand(place)
    command = [place.reprise, "ls", "--recursive", archive]
    run(command, place.reprise_env("list"))
    samples = alternate(runs, {
        "first": lambda: run(command, place.reprise_env()),
        "again": lambda: run(command, place.reprise_env("list")),
        "borg": lambda: run(["borg", "list", archive], place.borg_env),
    }, place.progress)
    return {f"list-{time}": {"reprise": samples[time], "borg": samples["borg"]} for time in ["first", "again"]}


def verify(place, runs):
    """The whole repository, every byte."""
    repository = place.mixed("repokey")
    return {"verify": alternate(runs, {
        "reprise": lambda: run([place.reprise, "verify", repository], place.reprise_env()),
        "borg": lambda: run(["borg", "check", "--verify-data", repository], place.borg_env),
    }, place.progress, warm_up=True)}


def mount_listing(place, runs):
    """From the start of `mount` to the end of the first `ls`; then `find -ls` of all."""
    archive = two_hundred_thousand(place)
    with Mounted(place, "reprise", archive, "mount"):
        pass

    def looked_at(program, cache=None, find=True):
        with Mounted(place, program, archive, cache) as mounted:
            served = mounted.served()
            ls = mounted.look(["ls", mounted.directory])
            if not find:
                return {"ls": ls}
            before = served.cpu()
            found = run(["find", mounted.directory, "-ls"], place.borg_env)
            found["cpu"] = served.cpu() - before
            return {"ls": ls, "find": found}

    samples = alternate(runs, {
        "reprise": lambda: looked_at("reprise"),
        "again": lambda: looked_at("reprise", "mount", find=False),
        "borg": lambda: looked_at("borg"),
    }, place.progress)

    def of(name, what):
        return [sample[what] for sample in samples[name]]

    return {
        "mount-ls": {"reprise": of("reprise", "ls"), "borg": of("borg", "ls")},
        "mount-ls-again": {"reprise": of("again", "ls"), "borg": of("borg", "ls")},
        "mount-find": {"reprise": of("reprise", "find"), "borg": of("borg", "find")},
    }


def mount_reading(place, runs):
    """Reads in a mount that nobody has read in before; the repository is in the page cache."""
    archive = f"{place.mixed('repokey')}::mixed"

    def read(program, name, how):
        with Mounted(place, program, archive, "mount") as mounted:
            served = mounted.served()
            before = served.cpu()
            sample = how(mounted.directory / "large" / name)
            return sample | {"cpu": served.cpu() - before, "memory": served.memory()}

    def programs(name, how):
        return {program: lambda p=program: read(p, name, how) for program in ["reprise", "borg"]}

    return {
        "mount-random": alternate(
            runs, programs("noise-a", lambda path: random_reads(path, 2000, 8192, 1)), place.progress
        ),
        "mount-sequential": alternate(
            runs, programs("text", lambda path: {"value": read_through(path)}), place.progress, warm_up=True
        ),
    }


def memory(place, _runs):
    """Once each, as it hardly varies: the largest resident size, which is the row's value."""
    size = 330 * MIB // place.scale
    archive = f"{place.many('items-1m', 1_000_000 // place.scale, size, 12)}::items"

    def mounted(program):
        with Mounted(place, program, archive) as mount:
            run(["find", mount.directory, "-ls"], place.borg_env)
            # The first of twelve times: more than any cache of content holds.
            with open(mount.directory / "large", "rb", buffering=0) as file:
                for _ in range(size // MIB):
                    file.read(MIB)
            served = mount.served()
            return {"value": served.memory() / 1e6, "cpu": served.cpu()}

    def extracted(archive, *paths):
        programs = extracting(place, archive, place.memory, *paths)

        def largest(program):
            sample = programs[program]()
            return {"value": sample["memory"] / 1e6, "cpu": sample["cpu"]}

        return {program: lambda p=program: largest(p) for program in ["reprise", "borg"]}

    return {
        "memory-mount": alternate(1, {p: lambda p=p: mounted(p) for p in ["reprise", "borg"]}, place.progress),
        "memory-extract": alternate(1, extracted(f"{place.mixed('repokey')}::mixed"), place.progress),
        "memory-extract-4g": alternate(1, extracted(archive, "large"), place.progress),
    }


MEASURES = {
    "decode": Measure([
        faster("decode-repokey", "decode everything to nowhere, repokey + lz4", 4),
        faster("decode-repokey-blake2", "the same, repokey-blake2 + lz4", 6),
    ], decode),
    "large": Measure([faster("extract-large", "extract large files (0.9 GB) to tmpfs", 4)], large),
    "small": Measure([
        Row("extract-small", "extract 20,000 small files to ext4",
            (Target("within", 1.3, "cp -a"), Target("faster", 1.5))),
    ], small, runs=5),
    "ssh": Measure([faster("extract-ssh", "extract large files over `ssh://localhost` to tmpfs", 2)], ssh),
    "list": Measure([
        faster("list-first", "list 200,000 items, first time", 8),
        faster("list-again", "the same, again from the catalogue", 40),
    ], listing, runs=5),
    "verify": Measure([faster("verify", "`verify` against `borg check --verify-data`", 4)], verify),
    "mount": Measure([
        faster("mount-ls", "mount 200,000 items, to the end of the first `ls`", 10),
        faster("mount-ls-again", "the same, again from the catalogue", 10),
        faster("mount-find", "mount: `find -ls` of 200,000 items", 5),
    ], mount_listing),
    "reads": Measure([
        faster("mount-random", "mount: random 8 KiB reads of 256 MB, mean of 2,000", 10, unit="ms"),
        faster("mount-sequential", "mount: sequential read of 512 MB", 2),
    ], mount_reading),
    "memory": Measure([
        below("memory-mount", "memory: mount of 1,000,000 items, after `find -ls` and reading 346 MB", 400),
        below("memory-extract", "memory: extraction of 1 GB with 20,000 small files", 500),
        below("memory-extract-4g", "memory: extraction of one file of 4.2 GB", 500),
    ], memory),
}
