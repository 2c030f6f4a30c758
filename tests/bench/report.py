"""Ratios from rounds, and the table that design aims are read off."""

from dataclasses import dataclass
from statistics import median

MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """Two commands and what is asked of their ratio."""

    what: str
    ours: str
    theirs: str
    # "faster": how many times less ours takes; "share": ours as a part of theirs.
    kind: str
    aim: str
    # What the ratio must reach, and of which figures; None where nothing is asked.
    bound: float | None = None
    units: tuple = ("wall", "cpu")
    # Site, ours, theirs, and by how many percent ours may be larger (or differ, if `equal`).
    size: tuple | None = None
    larger: float | None = None
    equal: bool = False
    # Seconds that ours may take at most.
    seconds: float | None = None


ROWS = [
    Row("cold, whole medium, against `capture`", "cold", "capture", "faster", "≥ 12× faster, ≤ 3.5 % larger", 12,
        size=("whole", "cold", "capture"), larger=3.5),
    Row("the same against `capture --compress=LZX:20`", "cold", "capture LZX:20", "faster", "(for fairness)",
        size=("whole", "cold", "capture LZX:20")),
    Row("the same with `--codec fast`", "cold, fast", "capture", "faster", "(none)", size=("whole", "cold, fast", "capture")),
    Row("drivers and software¹, `balanced`, against `capture`", "software", "software, capture", "faster", "≥ 7× faster", 7,
        size=("software", "software, packs", "software, capture")),
    Row("the same, `thorough`", "software, thorough", "software, capture", "faster", "≥ 1.3× at ± 0.3 % size", 1.3,
        size=("software", "software, thorough, packs", "software, capture"), larger=0.3, equal=True),
    Row("merge, packs present, against `export`", "merge", "export", "faster", "≥ 2× faster", 2,
        size=("whole", "medium", "export")),
    Row("merge, much of it uncompressed, against `export`", "packed, merge", "packed, export", "faster", "≥ 20× faster", 20,
        size=("packed", "medium", "packed, export")),
    Row("compressed already, against `capture`", "packed", "packed, capture", "faster", "≥ 15× faster, ≤ 0.5 % larger", 15,
        size=("packed", "packed", "packed, capture"), larger=0.5),
    Row("one package in twenty revised, against cold", "revised", "cold", "share", "≤ 6 % of CPU", 0.06, ("cpu",)),
    Row("nothing changed (the same plan), against cold", "unchanged", "cold", "share", "≤ 0.1 % of CPU, ≤ 1 s", 0.001, ("cpu",),
        seconds=1),
    Row("merge, against `cp` of the medium", "merge", "cp", "share", "≤ 1.1×", 1.1, ("wall",)),
    Row("merge, against `cp` and `sync`", "merge", "cp+sync", "share", "(for fairness)"),
    Row("a second medium, three in twenty revised, against `append`", "second medium", "append", "faster", "(none)"),
    Row("twenty media, against one and 19 merges²", "twenty", "twenty, budget", "share", "≤ 1×", 1.0),
]


class Ratios:
    """The rounds of one benchmark, as ratios of runs of one round."""

    def __init__(self, measured):
        self.rounds, self.sizes = measured["rounds"], measured["sizes"]

    def measured(self, *names):
        """Whether these were run at all."""
        return bool(self.rounds) and all(name in one for one in self.rounds for name in names)

    def cost(self, name, unit):
        """One figure of `name` for each round."""
        return [one[name][unit] for one in self.rounds]

    def mid(self, name, unit):
        return median(self.cost(name, unit))

    def of(self, row, unit):
        """Median, least and greatest over the rounds, as the row's kind has it."""
        pair = (row.theirs, row.ours) if row.kind == "faster" else (row.ours, row.theirs)
        pairs = zip(*(self.cost(name, unit) for name in pair), strict=True)
        found = [above / max(below, 1e-3) for above, below in pairs]
        return median(found), min(found), max(found)

    def larger(self, row):
        """How much larger ours is, in percent."""
        site, ours, theirs = row.size
        return (self.sizes[site][ours] / self.sizes[site][theirs] - 1) * 100


def verdict(ratios, row):
    """Whether the medians reach the aim, and what does not."""
    if row.bound is None:
        return ""
    better = (lambda a: a >= row.bound) if row.kind == "faster" else (lambda a: a <= row.bound)
    missed = [{"cpu": "CPU", "wall": "wall"}[unit] for unit in row.units if not better(ratios.of(row, unit)[0])]
    if row.larger is not None:
        found = ratios.larger(row)
        if found > row.larger or (row.equal and found < -row.larger):
            missed.append("size")
    if row.seconds is not None and ratios.mid(row.ours, "wall") > row.seconds:
        missed.append("seconds")
    return f"**no**: {', '.join(missed)}" if missed else "yes"


def markdown(measured):
    """The whole report."""
    ratios = Ratios(measured)
    parts = [machine_lines(measured), site_lines(measured["sizes"]), table(ratios, measured), notes(measured)]
    return "\n\n".join(part for part in parts if part)


def machine_lines(measured):
    about = measured["machine"]
    loads = [cost["load"] for one in measured["rounds"] for cost in one.values()]
    return "\n".join([
        f"- Machine: {about['cores']} cores of {about['cpu']}, {about['memory_gib']} GiB, Linux {about['kernel']};"
        f" load average before the first command {about['load_before']:.1f}, before any other {min(loads):.1f} to {max(loads):.1f}",
        f"- Versions: {about['prestage']}; {about['wimlib']}; {about['cp']}",
        f"- Sample: {about['mib']} MiB, seed {about['seed']}; {len(measured['rounds'])} rounds, {about['date']}",
    ])


def site_lines(sizes):
    """What was built of what."""
    lines = []
    for name, site in sizes.items():
        if name == "facts":
            continue
        line = f"- `{name}`: sample of {site['mib']} MiB, medium of {site['medium'] / MIB:.1f} MiB"
        line += f" ({site['padding'] / site['medium']:.2%} padding)"
        if "tree" in site:
            share = site["tree, SMS/PKG"] / site["tree"]
            line += f", tree of {site['files']} files, {site['tree'] / MIB:.0f} MiB, {share:.0%} of it in `SMS\\PKG`"
        lines.append(line)
    return "\n".join(lines)


def table(ratios, measured):
    lines = [
        "| what | ours: wall, CPU | theirs: wall, CPU | ratio, wall | ratio, CPU | size | aim | reached |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [line(ratios, row) for row in ROWS if ratios.measured(row.ours, row.theirs)]
    lines += [*memory(ratios, measured["machine"]["threads"]), *server(measured), *graft(measured)]
    return "\n".join(lines)


def line(ratios, row):
    wall, cpu = (ratio(ratios.of(row, unit), row.kind) for unit in ("wall", "cpu"))
    size = f"{ratios.larger(row):+.2f} %" if row.size else ""
    ours, theirs = cost(ratios, row.ours), cost(ratios, row.theirs)
    return f"| {row.what} | {ours} | {theirs} | {wall} | {cpu} | {size} | {row.aim} | {verdict(ratios, row)} |"


def cost(ratios, name):
    return f"{ratios.mid(name, 'wall'):.2f} s, {ratios.mid(name, 'cpu'):.2f} s"


def ratio(found, kind):
    middle, least, greatest = found
    if kind == "faster":
        return f"**{middle:.1f}×** ({least:.1f}–{greatest:.1f})"
    if middle < 0.5:
        return f"**{middle:.2%}** ({least:.2%}–{greatest:.2%})"
    return f"**{middle:.2f}** ({least:.2f}–{greatest:.2f})"


def memory(ratios, threads):
    """The greatest resident set of any round, coordinator and worker in one process."""
    def peaks(names):
        return {name: max(ratios.cost(name, "peak_rss_mib")) for name in names if ratios.measured(name)}

    ours = peaks(["cold", "software, thorough", "merge", "packed", "twenty"])
    theirs = peaks(["capture", "software, capture", "export"])
    if not ours:
        return []
    bound = 512 + 64 * threads
    said = [", ".join(f"{name} {peak:.0f} MiB" for name, peak in of.items()) for of in (ours, theirs)]
    reached = "yes" if max(ours.values()) <= bound else "**no**"
    return [f"| peak resident memory | {said[0]} | {said[1]} | | | | ≤ 512 MiB + 64 MiB a thread: {bound} MiB | {reached} |"]


def server(measured):
    found = measured["sizes"]["facts"].get("server")
    if not found:
        return []
    merge = found["merge"]
    moved = (merge["sent"] + merge["received"]) / MIB
    said = f"{merge['sent'] / MIB:.1f} MiB sent, {merge['received'] / MIB:.1f} MiB received of a medium of {found['medium'] / MIB:.0f} MiB"
    return [
        f"| merge in an S3 server (SeaweedFS), {merge['wall']:.2f} s | {said} | | | | | ≤ 10 MiB + small contents + metadata |"
        f" {moved:.1f} MiB³ |"
    ]


def graft(measured):
    runs = measured["sizes"]["facts"].get("graft")
    if not runs:
        return []
    middle = median(run["seconds"] for run in runs)
    spread = f"{min(run['seconds'] for run in runs):.2f}–{max(run['seconds'] for run in runs):.2f}"
    what = f"{runs[0]['grafted']} files grafted into a tree of {runs[0]['entries']}"
    reached = "yes" if middle < 1 else "**no**"
    return [f"| {what} | {middle:.2f} s ({spread}) | | | | | < 1 s | {reached} |"]


def notes(measured):
    said = [
        "Medians of the rounds, least and greatest in brackets; `×` is how many times less ours takes, other ratios"
        " are ours to theirs. CPU is user and system time of the process and its children. An aim is reached if the"
        " medians of both wall clock and CPU reach it, where it does not name one."
    ]
    sizes = measured["sizes"]
    if "software" in sizes:
        said.append(
            "¹ A whole build of a sample with hardly any OS image, against `capture` of its `\\SMS\\PKG`; sizes are those"
            " of the packs and of that capture."
        )
    if "family" in sizes:
        said.append("² Each of the twenty has another ten of twelve packages; the second to the twelfth also encode what no earlier one had.")
    if "server" in sizes["facts"]:
        said.append("³ All that passed between our process and the store, both ways, requests and answers included.")
    return "\n\n".join(said)
