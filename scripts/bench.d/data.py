"""The trees that are backed up: always the same bytes for the same sizes."""

import random

from measure import MIB

BLOCK = MIB


def noise(seed, size):
    """`size` bytes that do not compress, in blocks."""
    source = random.Random(seed)
    for at in range(0, size, BLOCK):
        yield source.randbytes(min(BLOCK, size - at))


def vocabulary():
    """256 words."""
    source = random.Random("words")
    letters = "etaoinshrdlucmfwypvbgk"
    return ["".join(source.choices(letters, k=source.randint(2, 11))).encode() + b" " for _ in range(256)]


WORDS = vocabulary()


def text(seed, size):
    """`size` bytes of words, of which lz4 makes about half, in blocks; no two blocks are alike."""
    source = random.Random(seed)
    left = size
    while left > 0:
        # Words have three bytes at least.
        block = b"".join(map(WORDS.__getitem__, source.randbytes(min(BLOCK // 8, left // 3 + 1))))[:left]
        yield block
        left -= len(block)


def write(path, blocks):
    """Makes a file of blocks."""
    with open(path, "wb", buffering=0) as file:
        for block in blocks:
            file.write(block)


def mixed(root, scale):
    """About 1 GB: noise and text in large files, and 20,000 small files, a hundred in a directory."""
    large = root / "large"
    large.mkdir(parents=True)
    write(large / "noise-a", noise("a", 256 * MIB // scale))
    write(large / "noise-b", noise("b", 128 * MIB // scale))
    write(large / "text", text("t", 512 * MIB // scale))
    source = random.Random("small")
    for number in range(20_000 // scale):
        directory = root / "small" / f"{number // 100:03}"
        directory.mkdir(parents=True, exist_ok=True)
        size = source.randint(1000, 5000)
        blocks = (noise if number % 2 else text)(f"small {number % 1000}", size)
        # The number keeps each from being the same as another: none is found to be there already.
        write(directory / f"{number:05}.dat", [f"{number}\n".encode(), *blocks])
