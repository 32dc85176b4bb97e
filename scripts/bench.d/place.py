"""Where a benchmark works: its data, made when first needed and gone in the end, and the two programs with their
environments. `BENCH_DATA=DIR` keeps the data in DIR for the next run."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import data
from measure import MIB, TICKS, Failed, Served, run, settle, warm

HERE = Path(__file__).parent
PASSPHRASE = "bench"


def borg_interpreter():
    """The Python that runs borg, whose modules make the archives of many items."""
    with open(shutil.which("borg") or "/usr/bin/borg", "rb") as script:
        first = script.readline().decode(errors="replace").strip()
    if not first.startswith("#!") or "python" not in first:
        raise Failed("borg is not a Python script here; the benchmark needs Debian's package borgbackup")
    return first[2:].split()


class Place:
    """Directories, repositories and programs. `scale` divides all sizes."""

    def __init__(self, scale, progress):
        self.scale = scale
        self.progress = progress
        self.kept = "BENCH_DATA" in os.environ
        if self.kept:
            self.disk = Path(os.environ["BENCH_DATA"]).absolute()
            self.disk.mkdir(parents=True, exist_ok=True)
        else:
            self.disk = Path(tempfile.mkdtemp(prefix="reprise-bench.", dir="/var/tmp"))
        self.memory = Path(tempfile.mkdtemp(prefix="reprise-bench.", dir="/dev/shm"))
        self.reprise = Path(os.environ["REPRISE"])
        self.server = None
        self.borg_env = self._env(BORG_BASE_DIR=self.disk / "borg", BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        # A catalogue kept by an earlier run would make a first time a second one.
        self.caches = Path(tempfile.mkdtemp(prefix="caches.", dir=self.disk))
        self.state = self.caches / "state"
        self.ext4 = None

    @staticmethod
    def _env(**more):
        """The environment without what would make one of the programs do something else."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BORG_", "REPRISE"))}
        # Without a time zone, the C library asks for /etc/localtime at each time that `find -ls` shows, which is half its work.
        return kept | {"TZ": "UTC", "BORG_PASSPHRASE": PASSPHRASE} | {key: os.fspath(value) for key, value in more.items()}

    def reprise_env(self, cache=None):
        """Reprise's: `cache` names a directory that keeps catalogues; without, it is one that nobody has used."""
        cache = self.caches / cache if cache else Path(tempfile.mkdtemp(dir=self.caches))
        more = {"BORG_RSH": self.server.ssh} if self.server else {}
        return self._env(REPRISE_CACHE_DIR=cache, REPRISE_STATE_DIR=self.state, **more)

    def close(self):
        """Takes everything away."""
        if self.server:
            self.server.stop()
        if self.ext4:
            subprocess.run(["umount", self.ext4], check=True)
        for path in [self.memory, self.caches] if self.kept else [self.memory, self.disk]:
            shutil.rmtree(path, ignore_errors=True)

    def new_ext4(self):
        """A directory on an ext4 of its own, with a journal, as mkfs makes it, on a device as fast as memory. On the machine's
        disk others write, too; and without a journal, ext4 walks past every file deleted lately to make a new one."""
        if not self.ext4:
            image, self.ext4 = self.memory / "ext4.image", self.memory / "ext4"
            self.ext4.mkdir()
            with open(image, "wb") as file:
                file.truncate(2048 * MIB)
            options = ["-E", "lazy_itable_init=0,lazy_journal_init=0"]
            try:
                subprocess.run(["mkfs.ext4", "-q", "-F", *options, image], check=True)
                subprocess.run(["mount", "-o", "loop", image, self.ext4], check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                self.ext4 = None
                raise Failed(f"there is no ext4 to extract to: {error}") from error
        return self.ext4

    def borg(self, *arguments, cwd=None):
        """Runs borg to prepare something."""
        command = ["borg", *map(str, arguments)]
        done = subprocess.run(command, env=self.borg_env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")

    def _made(self, name, make):
        """The directory `name` on disk, filled by `make` unless it is there."""
        done = self.disk / name
        if not done.exists():
            self.progress(f"making {name}")
            making = self.disk / f"{name}.making"
            shutil.rmtree(making, ignore_errors=True)
            make(making)
            making.rename(done)
            settle()
        return done

    def tree(self):
        """About 1 GB of files."""
        return self._made(f"tree-{self.scale}", lambda path: data.mixed(path, self.scale))

    def mixed(self, encryption):
        """A repository whose archive `mixed` holds the tree, with lz4."""
        tree = self.tree()

        def make(path):
            self.borg("init", "--encryption", encryption, path)
            self.borg("create", "--compression", "lz4", f"{path}::mixed", ".", cwd=tree)

        return self._warm(self._made(f"{encryption}-{self.scale}", make))

    def _warm(self, repository):
        """In the page cache, and known to borg under this name."""
        warm(repository / "data")
        self.borg("list", repository)
        return repository

    def many(self, name, items, content=0, times=1):
        """A repository whose archive `items` holds so many items, and so many bytes of content so many times over."""

        def make(path):
            self.borg("init", "--encryption", "repokey", path)
            script = [*borg_interpreter(), HERE / "archives.py", path, "items", items, content, times]
            done = subprocess.run(list(map(str, script)), env=self.borg_env, capture_output=True)
            if done.returncode != 0:
                raise Failed(f"archives.py: {done.stderr.decode(errors='replace')}")

        return self._warm(self._made(f"{name}-{self.scale}", make))

    def ssh(self, repository):
        """The repository as both see it through an sshd of our own."""
        if not self.server:
            self.server = Sshd(self.memory)
            self.borg_env["BORG_RSH"] = self.server.ssh
        url = f"ssh://root@127.0.0.1:{self.server.port}{repository}"
        self.borg("list", url)
        return url


class Sshd:
    """An ssh server with keys of its own, on a free port of the loopback device."""

    def __init__(self, memory):
        keys = Path(tempfile.mkdtemp(prefix="sshd.", dir=memory))
        for name in ["host", "user"]:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
        (keys / "user.pub").rename(keys / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        host_key = (keys / "host.pub").read_text()
        (keys / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")
        # For a server that separates privileges; with a service manager it is there.
        Path("/run/sshd").mkdir(exist_ok=True)
        options = [f"ListenAddress=127.0.0.1:{self.port}", f"HostKey={keys}/host", "PidFile=none", "StrictModes=no"]
        options += [f"AuthorizedKeysFile={keys}/authorized_keys", "UsePAM=no", "PermitRootLogin=prohibit-password"]
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null"]
        for option in options:
            command += ["-o", option]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.ssh = f"ssh -F /dev/null -i {keys}/user -o UserKnownHostsFile={keys}/known_hosts -o StrictHostKeyChecking=yes"
        self._await()

    def _await(self):
        deadline = time.monotonic() + 10
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise Failed("sshd does not answer") from None
                time.sleep(0.01)

    def cpu(self):
        """Processor time, in seconds, of all that it has started so far; waits until that has ended."""
        proc = Path("/proc") / str(self.process.pid)
        deadline = time.monotonic() + 10
        while (proc / "task" / proc.name / "children").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / TICKS

    def stop(self):
        """Ends it."""
        self.process.terminate()
        self.process.wait()


class Mounted:
    """An archive mounted by one of the programs, for the length of a `with`."""

    def __init__(self, place, program, location, cache=None):
        self.place = place
        self.directory = Path(tempfile.mkdtemp(prefix="mount.", dir=place.memory))
        reprise = program == "reprise"
        self.command = [place.reprise if reprise else "borg", "mount", location, self.directory]
        self.env = place.reprise_env(cache) if reprise else place.borg_env

    def __enter__(self):
        self.began = time.perf_counter()
        try:
            # What borg mounts with is not what goes on to serve: its time counts as well.
            self.cpu = run(self.command, self.env)["cpu"]
        except Failed:
            self.directory.rmdir()
            raise
        return self

    def look(self, command):
        """Runs `command`: the time from before the mount to its end, and what mounting and serving took of the processor."""
        run(command, self.env)
        wall = time.perf_counter() - self.began
        return {"value": wall, "cpu": self.cpu + self.served().cpu()}

    def served(self):
        """The process that serves it."""
        return Served(self.directory)

    def __exit__(self, *_):
        served = self.served()
        subprocess.run(["umount", self.directory], check=True)
        served.await_end()
        self.directory.rmdir()
