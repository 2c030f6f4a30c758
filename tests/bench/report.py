"""Ratios from rounds, and the table that design aims are read off."""

from statistics import median

MIB = 1 << 20


class Ratios:
    """The rounds of one benchmark, as ratios of runs of one round."""

    def __init__(self, measured):
        self.rounds, self.sizes = measured["rounds"], measured["sizes"]

    def cost(self, name, unit):
        """One figure of `name` for each round; 'a - b' is the difference of two."""
        more, _, less = name.partition(" - ")
        return [one[more][unit] - (one[less][unit] if less else 0) for one in self.rounds]

    def measured(self, *names):
        """Whether these were run at all."""
        return all(part in one for one in self.rounds for name in names for part in name.split(" - "))

    def of(self, above, below, unit):
        """Median, least and greatest of above/below over the rounds."""
        pairs = zip(self.cost(above, unit), self.cost(below, unit), strict=True)
        found = [a / b for a, b in pairs if b > 0]
        return (median(found), min(found), max(found)) if found else None

    def mid(self, name, unit):
        return median(self.cost(name, unit))

    def size(self, ours, theirs):
        """How much larger ours is, in percent."""
        return (self.sizes[ours] / self.sizes[theirs] - 1) * 100


# What, ours, theirs, whether "times faster" (theirs/ours) or "share" (ours/theirs), the sizes compared, the aim.
ROWS = [
    ("cold, whole medium, against `capture`", "cold", "capture", "faster",
     ("cold", "capture"), "≥ 12× faster, ≤ 3.5 % larger"),
    ("the same against `capture --compress=LZX:20`", "cold", "capture LZX:20", "faster",
     ("cold", "capture LZX:20"), "(for fairness)"),
    ("cold, whole medium, `--codec fast`, against `capture`", "fast", "capture", "faster",
     ("fast", "capture"), "(none)"),
    ("cold, encoded part alone¹, against `capture` of it", "cold - merge", "capture SMS/PKG", "faster",
     ("balanced, encoded", "capture SMS/PKG"), "≥ 7×"),
    ("the same, `--codec thorough`", "thorough - merge", "capture SMS/PKG", "faster",
     ("thorough, encoded", "capture SMS/PKG"), "≥ 1.3× at ± 0.3 % size"),
    ("merge, packs present, against `export`", "merge", "export", "faster",
     ("medium", "export"), "≥ 2× faster"),
    ("merge, packs present, against `cp`", "merge", "cp", "share", None, "≤ 1.1× of `cp`"),
    ("merge, packs present, against `cp` and `sync`", "merge", "cp+sync", "share", None, "(for fairness)"),
    ("one application revised, against cold", "revised", "cold", "share", None, "≤ 6 % of CPU"),
    ("nothing changed, medium there, against cold", "unchanged", "cold", "share", None, "≤ 0.1 % of CPU, ≤ 1 s"),
]


def markdown(measured):
    """The whole report."""
    ratios = Ratios(measured)
    parts = [machine_lines(measured), corpus_lines(measured), table(ratios), notes(ratios)]
    return "\n\n".join(parts)


def machine_lines(measured):
    about = measured["machine"]
    loads = [cost["load"] for one in measured["rounds"] for cost in one.values()]
    return "\n".join([
        f"- Machine: {about['cores']} cores of {about['cpu']}, {about['memory_gib']} GiB, Linux {about['kernel']};"
        f" load average before a run {min(loads):.1f} to {max(loads):.1f}",
        f"- Versions: {about['prestage']}; {about['wimlib']}; {about['cp']}",
        f"- Sample: {about['mib']} MiB, seed {about['seed']}; {len(measured['rounds'])} rounds, {about['date']}",
    ])


def corpus_lines(measured):
    sizes = measured["sizes"]
    carried = sizes["tree, encoded"] / sizes["tree"] * 100
    return (
        f"The medium applies to {sizes['files']} files of {sizes['tree'] / MIB:.0f} MiB, of which {carried:.0f} % are"
        f" packages and applications (`\\SMS\\PKG`); the rest is the OS image and the boot image. The medium has"
        f" {sizes['medium'] / MIB:.1f} MiB, {sizes['padding'] / sizes['medium'] * 100:.1f} % of it padding."
        f" The revised application is {sizes['revised'] / MIB:.1f} MiB,"
        f" {sizes['revised'] / sizes['tree, encoded'] * 100:.0f} % of what is encoded."
    )


def table(ratios):
    lines = [
        "| what | ours: wall, CPU | theirs: wall, CPU | ratio, wall | ratio, CPU | size | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [row(ratios, *one) for one in ROWS if ratios.measured(one[1], one[2])]
    lines.append(memory(ratios))
    return "\n".join(lines)


def memory(ratios):
    """The greatest resident set of any round."""
    def peaks(names):
        known = [name for name in names if ratios.measured(name)]
        return ", ".join(f"{name} {max(ratios.cost(name, 'peak_rss_mib')):.0f} MiB" for name in known)

    ours, theirs = peaks(["cold", "thorough", "merge"]), peaks(["capture", "export"])
    return f"| peak resident memory | {ours} | {theirs} | | | | ≤ 512 MiB + 64 MiB a thread |"


def row(ratios, what, ours, theirs, kind, sizes, aim):
    pair = (theirs, ours) if kind == "faster" else (ours, theirs)
    wall, cpu = (ratio(ratios.of(*pair, unit), kind) for unit in ("wall", "cpu"))
    size = f"{ratios.size(*sizes):+.1f} %" if sizes else ""
    return f"| {what} | {cost(ratios, ours)} | {cost(ratios, theirs)} | {wall} | {cpu} | {size} | {aim} |"


def cost(ratios, name):
    return f"{ratios.mid(name, 'wall'):.2f} s, {ratios.mid(name, 'cpu'):.2f} s"


def ratio(found, kind):
    if found is None:
        return "–"
    middle, least, greatest = found
    if kind == "faster":
        return f"**{middle:.1f}×** ({least:.1f}–{greatest:.1f})"
    if middle < 0.5:
        return f"**{middle:.2%}** ({least:.2%}–{greatest:.2%})"
    return f"**{middle:.2f}** ({least:.2f}–{greatest:.2f})"


def notes(ratios):
    said = [
        "Medians of the rounds, least and greatest in brackets; `×` is how many times less ours takes, other ratios"
        " are ours to theirs. CPU is user and system time of the process and its children. Memory is the greatest"
        " of any round, coordinator and worker in one process."
    ]
    if ratios.measured("capture SMS/PKG"):
        said.append(
            "¹ Ours is the cold build less the merge of the same round, so it still has the OS and boot images' splice"
            " in it; theirs captures `\\SMS\\PKG` of the tree; sizes are those of the packs and of that capture."
        )
    return "\n\n".join(said)
