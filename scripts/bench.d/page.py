"""docs/benchmarks.md and its plot, made of the results in docs/benchmarks/."""

import json
import subprocess
from pathlib import Path

from measure import median
from rows import MEASURES

DOCS = Path(__file__).parents[2] / "docs"
BORG = DOCS / "benchmarks" / "borg.json"
DOCKER = DOCS / "benchmarks" / "docker.json"
PROJECT = DOCS / "benchmarks" / "project.json"
LIMITS = DOCS / "benchmarks" / "limits.md"
PLOT = DOCS / "benchmarks" / "borg.svg"
HEAD = "| measure | Reprise | compared with | ratio | target | | CPU, Reprise / other |\n|---|---|---|---|---|---|---|\n"


def stored(path):
    """What a file of results holds; nothing if it is not there."""
    return json.loads(path.read_text()) if path.exists() else {}


def keep(results):
    """Puts `results` in place of earlier ones of the same rows; those of other rows stay."""
    BORG.parent.mkdir(exist_ok=True)
    order = [row.id for measure in MEASURES.values() for row in measure.rows]
    merged = stored(BORG) | results
    merged = {row: merged[row] for row in order if row in merged}
    # A line for each run, so that a change can be read.
    text = json.dumps(merged, indent=1, default=float)
    BORG.write_text(text + "\n")


def figure(value, unit):
    """A figure as one would say it."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f} {unit}"


def reached(target, samples):
    """The ratio (or the value) that counts, and whether it is good enough."""
    ours = median(samples["reprise"])
    if target.kind == "below":
        return ours, ours <= target.value
    other = median(samples[target.than])
    ratio = other / ours if target.kind == "faster" else ours / other
    return ratio, ratio >= target.value if target.kind == "faster" else ratio <= target.value


def line(row, target, samples):
    """A line of the table."""
    value, met = reached(target, samples)
    other = samples.get(target.than)
    compared = f"{target.than}: {figure(median(other), row.unit)}" if other else ""
    ratio, wanted = {
        "faster": (f"**{value:.{1 if value < 10 else 0}f} x**", f"{target.value:g} x faster"),
        "within": (f"**{value:.2f} x**", f"within {target.value:g} x"),
        "below": ("", f"under {target.value:g} {row.unit}"),
    }[target.kind]
    cpu = " / ".join(figure(median(runs, "cpu"), "s") for runs in (samples["reprise"], other) if runs)
    cells = [row.title, figure(median(samples["reprise"]), row.unit), compared, ratio, wanted]
    return f"| {' | '.join([*cells, 'met' if met else '**not met**', cpu])} |\n"


def table(rows, results):
    """The table of those rows that have results."""
    lines = [line(row, target, results[row.id]["samples"]) for row in rows if row.id in results for target in row.targets]
    return HEAD + "".join(lines)


def details(results):
    """What the table has no place for."""
    for row, title in [("mount-random", "Random reads, median and 99th percentile")]:
        if row in results:
            parts = [
                f"{program} {figure(median(runs, 'p50'), 'ms')} and {figure(median(runs, 'p99'), 'ms')}"
                for program, runs in results[row]["samples"].items()
            ]
            yield f"{title}: {', '.join(parts)}."
    if "extract-ssh" in results:
        parts = [
            f"{program} {figure(median(runs, 'server_cpu'), 's')}"
            for program, runs in results["extract-ssh"]["samples"].items()
        ]
        yield f"Over ssh, processor time of the server's side (sshd and borg serve) beside that in the table: {', '.join(parts)}."
    runs = {}
    for row, result in results.items():
        key = "{day}, {cores} cores, Reprise {reprise} ({commit}), borg {borg}".format(**result)
        runs.setdefault(key, []).append((row, result["load"]))
    for key, rows in runs.items():
        which = "" if len(runs) == 1 else f": {', '.join(row for row, _ in rows)}"
        loads = sorted(load for _, load in rows)
        yield f"Measured on {key}; load at the start {loads[0]:g} to {loads[-1]:g}{which}."


def bars(rows, results):
    """Title, ratio and target of each row that is to be faster than borg."""
    for row in rows:
        for target in row.targets:
            if row.id in results and (target.kind, target.than) == ("faster", "borg"):
                yield row.title.replace("`", ""), reached(target, results[row.id]["samples"])[0], target.value


def plot(rows, results, terminal="svg", path=PLOT):
    """How many times faster than borg, on a logarithmic scale, with a mark where each target is."""
    shown = list(bars(rows, results))
    size = f"size 1100,{100 + 32 * len(shown)}"
    names = ", ".join(f'"{title}" {-at}' for at, (title, _, _) in enumerate(shown))
    data = "\n".join(f"{-at} {ratio} {target} {0 if ratio >= target else 1}" for at, (_, ratio, target) in enumerate(shown))
    script = f"""
set terminal {terminal} {size} font "sans-serif,13" background "#ffffff"
set output "{path}"
set logscale x
set xrange [0.7:200]
set yrange [{0.2 - len(shown)}:0.8]
set lmargin at screen 0.45
set rmargin at screen 0.98
set xtics (1, 2, 4, 6, 10, 20, 40, 100, 200) nomirror
set ytics ({names}) scale 0
set grid xtics back linetype 1 linecolor "#dddddd"
set border 1
set key outside bottom center horizontal
set style fill solid noborder
set title "Times faster than borg (logarithmic)"
set datafile separator " "
$rows << EOD
{data}
EOD
plot $rows using (1):1:(1):2:($1-0.32):($1+0.32):($4 == 0 ? 0x3a7d44 : 0xd08b1d) \
         with boxxyerror linecolor rgb variable notitle, \
     NaN with boxes linecolor rgb "#3a7d44" title "target met", \
     NaN with boxes linecolor rgb "#d08b1d" title "not met", \
     $rows using 3:($1-0.42):(0):(0.84) with vectors nohead linewidth 3 linecolor rgb "#1b1b1b" notitle, \
     NaN with lines linewidth 3 linecolor rgb "#1b1b1b" title "target", \
     $rows using ($2 > $3 ? $2 : $3):1:(sprintf("  %.1f x", $2)) with labels left notitle
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def limits():
    """What was found out by hand about targets that are not met."""
    return f"\n{LIMITS.read_text()}" if LIMITS.exists() else ""


def borg_part():
    """The reader beside borg."""
    results = stored(BORG)
    rows = [row for measure in MEASURES.values() for row in measure.rows]
    if not results:
        return ""
    plot(rows, results)
    return (
        "\n## The Borg reader beside borg\n\n"
        "`scripts/bench borg`: both programs in turn in one run, everything in the page cache; medians of 3 runs, of 5 where they are short,\n"
        "of one for memory. Processor time is that of the program, or of the process behind a mount; over ssh, the client's ssh\n"
        "is counted with it. Decoding, extraction to tmpfs and ext4, `verify` and the sequential read each count right after a run of the same program that\n"
        "does not: the host of a virtual machine takes back memory and processors that were idle for seconds, and the next who wants them waits.\n"
        "Times are shown in UTC (`TZ`), as `find -ls` otherwise asks for `/etc/localtime` at every one of them.\n\n"
        f"{table(rows, results)}\n"
        "![How many times faster than borg each measure is, and where its target lies](benchmarks/borg.svg)\n\n"
        + "\n".join(details(results))
        + "\n"
        + limits()
    )


def docker_part():
    """Downtime."""
    results = stored(DOCKER)
    if not results:
        return ""
    lines = []
    for size, row in sorted(results.items(), key=lambda entry: int(entry[0])):
        shorter = row["classic"] / row["downtime"]
        lines.append(
            f"| {size} MB | {row['downtime']:.2f} s | {row['classic']:.2f} s | {shorter:.0f} x shorter | {row['whole']:.1f} s "
            f"| {row['day']}, {row['cores']} cores |\n"
        )
    return (
        "\n## Downtime of an in-place restore\n\n"
        "`scripts/bench docker`: repokey-blake2, lz4; medians of 3 runs, both in turn in one run.\n\n"
        "| volume | Reprise, downtime | classic script, downtime | ratio | Reprise, the whole restore | measured |\n"
        "|---|---|---|---|---|---|\n" + "".join(lines) + "\n"
        "Ours runs from the beginning of the first stop to the end of the last start; the classic one only from the end of its stop:\n"
        "stop, remove the present files, `borg extract` in place, start. The whole restore includes the health check after the start (a few seconds).\n"
    )


def project_part():
    """A whole restore beside the classic script."""
    results = stored(PROJECT)
    if not results:
        return ""
    meta, restore = results["meta"], results["restore"]
    ours, classic = restore["reprise"], restore["classic"]
    lines = []

    def row(title, value, other, target, met):
        lines.append(f"| {title} | {value} | {other} | {target} | {'met' if met else '**not met**'} |\n")

    def ratio(title, key, target, ours=ours, classic=classic, other=None):
        if not all(key in sample for sample in ours):
            return
        mine, theirs = median(ours, key), median(classic, other or key)
        times = f"{target} x, here **{theirs / mine:.1f} x**"
        row(title, figure(mine, "s"), figure(theirs, "s"), times, theirs / mine >= target)

    def below(title, value, limit, unit):
        row(title, figure(value, unit), "", f"under {limit} {unit}", value < limit)

    ratio("from beginning to end", "value", 2)
    ratio("until the container is started, where the script ends", "running", 2, other="value")
    ratio("downtime", "downtime", 10)
    if "only-changed" in results:
        changed = results["only-changed"]
        ratio("1 % changed, `--only-changed`", "value", 8, changed["reprise"], changed["classic"])
        ratio("the same, until the container is started", "running", 8, changed["reprise"], changed["classic"], other="value")
    below("rollback, beside stopping and starting containers", median(ours, "rollback"), 5, "s")
    below("the engine's own time, beside extracting and Docker", median(ours, "overhead"), 1, "s")
    below("largest resident size", median(ours, "memory") / 1e6, 100, "MB")
    return (
        "\n## A whole in-place restore\n\n"
        f"`scripts/bench project`: a volume of {2 * 1024 // meta['scale']} MB in {10_000 // meta['scale']} files, repokey-blake2, lz4; medians of "
        f"{len(ours)} runs, in turn with the classic script: stop, remove,\n`borg extract` in place, start. Ours also syncs to disk, keeps what "
        "was there, and waits until the container has proved stable. Compose is version 2. What is read and what is run is in memory at the start.\n\n"
        "| measure | Reprise | classic script | target | |\n|---|---|---|---|---|\n" + "".join(lines) + "\n"
        f"Measured on {meta['day']}, {meta['cores']} cores, load at the end {meta['load']:.1f}.\n"
    )


def write():
    """Writes the page."""
    text = "# Benchmarks\n\nMade by `make bench` of the results in `docs/benchmarks/`.\n"
    (DOCS / "benchmarks.md").write_text(text + docker_part() + project_part() + borg_part())


if __name__ == "__main__":
    write()
