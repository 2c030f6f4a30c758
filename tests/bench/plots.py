"""Small plots as SVG, without a library."""

from report import Ratios

WIDTH, LABEL, BAR, GAP = 720, 270, 22, 10
OURS, THEIRS, INK = "#1f6f8b", "#b0b7bf", "#24292f"

COLD = [
    ("prestage, cold, fast", "cold, fast", OURS),
    ("prestage, cold, balanced", "cold", OURS),
    ("wimlib capture LZX:20", "capture LZX:20", THEIRS),
    ("wimlib capture", "capture", THEIRS),
]
WARM = [
    ("cp", "cp", THEIRS),
    ("wimlib export", "export", THEIRS),
    ("wimlib append", "append", THEIRS),
    ("prestage, nothing changed", "unchanged", OURS),
    ("prestage, merge", "merge", OURS),
    ("prestage, 1 in 20 revised", "revised", OURS),
    ("prestage, second medium", "second medium", OURS),
]


def write(measured, folder):
    """Writes `cold.svg` and `warm.svg`: CPU seconds, the figure that a busy machine bends least."""
    ratios = Ratios(measured)
    mib = measured["machine"]["mib"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, title, bars in (("cold", "A whole medium", COLD), ("warm", "Content already packed", WARM)):
        bars = [bar for bar in bars if ratios.measured(bar[1])]
        if not bars:
            continue
        title = f"{title}: CPU seconds, sample of {mib} MiB (median; line: least to greatest)"
        figures = [(label, sorted(ratios.cost(key, "cpu")), ratios.mid(key, "cpu"), ink) for label, key, ink in bars]
        (folder / f"{name}.svg").write_text(bars_chart(title, figures))


def frame(height, title):
    """The head of a plot of this height."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-weight="bold" fill="{INK}">{title}</text>',
    ]


def bars_chart(title, figures):
    """Horizontal bars, with a thin line from the least to the greatest run."""
    scale = (WIDTH - LABEL - 90) / max(runs[-1] for _, runs, _, _ in figures)
    lines = frame(40 + len(figures) * (BAR + GAP), title)
    for place, (label, runs, middle, ink) in enumerate(figures):
        top = 34 + place * (BAR + GAP)
        centre = top + BAR / 2
        ends = [LABEL + run * scale for run in (runs[0], runs[-1])]
        after = max(LABEL + middle * scale, ends[1]) + 8
        lines += [
            f'<text x="{LABEL - 8}" y="{centre + 5}" text-anchor="end" fill="{INK}">{label}</text>',
            f'<rect x="{LABEL}" y="{top}" width="{middle * scale:.1f}" height="{BAR}" fill="{ink}"/>',
            f'<line x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{centre}" y2="{centre}" stroke="{INK}"/>',
            f'<text x="{after:.1f}" y="{centre + 5}" fill="{INK}">{middle:.2f} s</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
