"""Archives of many items, or of much content, put together with borg's own modules: `borg create` would take minutes
for a million files, and so would making them. Run by the interpreter that runs borg:

    archives.py REPOSITORY NAME ITEMS CONTENT TIMES

An archive NAME of ITEMS files in directories of a hundred, and a file `large` of CONTENT bytes of noise, TIMES over.
"""

import itertools
import os
import sys

from borg.archive import Archive
from borg.cache import Cache
from borg.compress import CompressionSpec
from borg.helpers import Manifest
from borg.item import Item
from borg.logger import setup_logging
from borg.repository import Repository

from data import noise

# So many MiB are about what a chunk of borg's own chunker has.
CHUNK = 2
TIME = 1_700_000_000_000_000_000


def item(path, number, **more):
    """An item as `borg create` writes them, its times all its own."""
    time = TIME + number * 1_234_567_891
    return Item(path=path, uid=0, gid=0, user="root", group="root", mtime=time, ctime=time, atime=time, **more)


def content(archive, key, cache, blocks):
    """Stores `blocks`, and names them as an item does."""
    return [cache.add_chunk(key.id_hash(block), block, archive.stats) for block in blocks]


def chunks_of(seed, size):
    """`size` bytes of noise, in chunks."""
    blocks = noise(seed, size)
    while chunk := b"".join(itertools.islice(blocks, CHUNK)):
        yield chunk


def fill(archive, key, cache, items, size, times):
    """Adds all items, as borg meets them: a directory, then what is in it."""
    small = content(archive, key, cache, (f"a small file, {number}\n".encode() * 9 for number in range(1000)))
    for number in range(items):
        upper = f"srv/{number // 10_000:03}"
        lower = f"{upper}/{number // 100 % 100:02}"
        for directory in ["srv"] * (number == 0) + [upper] * (number % 10_000 == 0) + [lower] * (number % 100 == 0):
            archive.add_item(item(directory, number, mode=0o40755))
        chunk = small[number % len(small)]
        cache.chunk_incref(chunk.id, archive.stats)
        archive.add_item(item(f"{lower}/file-{number:07}.dat", number, mode=0o100644, size=chunk.size, chunks=[chunk]))
    if size:
        once = content(archive, key, cache, chunks_of("large", size))
        for chunk in once * (times - 1):
            cache.chunk_incref(chunk.id, archive.stats)
        archive.add_item(item("large", 0, mode=0o100644, size=size * times, chunks=once * times))


def main(path, name, items, size, times):
    """Writes the archive."""
    setup_logging()
    with Repository(path, exclusive=True) as repository:
        manifest, key = Manifest.load(repository, (Manifest.Operation.WRITE,))
        key.compressor = CompressionSpec("lz4").compressor
        with Cache(repository, key, manifest, lock_wait=1) as cache:
            archive = Archive(repository, key, manifest, name, cache=cache, create=True)
            fill(archive, key, cache, int(items), int(size), int(times))
            archive.save()


if __name__ == "__main__":
    main(*sys.argv[1:])
