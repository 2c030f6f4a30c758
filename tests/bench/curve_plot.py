"""Size against speed of every level, with the profiles' levels marked."""

import math
from dataclasses import dataclass

from plots import INK, WIDTH, frame

LEFT, TOP, HEIGHT, BOTTOM = 60, 40, 420, 50
INKS = {"lzx": "#1f6f8b", "xpress": "#b5651d"}


@dataclass
class Point:
    """One level over all samples."""

    format: str
    level: int
    # What users get it as, if they do.
    profile: str | None
    # Content bytes a CPU second, and stored bytes of a content byte.
    speed: float
    ratio: float
    # Against LZX 50: times less CPU (median, and by the spread of both), share of bytes more.
    faster: float
    slowest: float
    fastest: float
    larger: float
    # Stored bytes of a content byte, for each sample.
    ratios: list

    @property
    def name(self):
        return f"{self.format.upper()} {self.level}" + (f" **{self.profile}**" if self.profile else "")


def points(measured):
    """All levels, compared with LZX 50."""
    sizes = [sample["shrinkable_bytes"] for sample in measured["samples"]]
    found = measured["points"]
    base = next(point for point in found if (point["format"], point["level"]) == ("lzx", 50))
    profiles = {(one["format"], one["level"]): one["profile"] for one in measured["profiles"]}
    return [compare(point, base, sizes, profiles) for point in found]


def compare(point, base, sizes, profiles):
    def seconds(of, which):
        return sum(sample["cpu_seconds"][which] for sample in of["samples"])

    stored, base_stored = (sum(sample["stored_bytes"] for sample in of["samples"]) for of in (point, base))
    ratios = [sample["stored_bytes"] / max(size, 1) for sample, size in zip(point["samples"], sizes, strict=True)]
    return Point(
        point["format"], point["level"], profiles.get((point["format"], point["level"])), sum(sizes) / seconds(point, "median"), stored / sum(sizes),
        seconds(base, "median") / seconds(point, "median"), seconds(base, "least") / seconds(point, "greatest"),
        seconds(base, "greatest") / seconds(point, "least"), stored / base_stored - 1, ratios,
    )


def write(measured, folder):
    """Writes `codecs.svg`."""
    found = points(measured)
    speeds = [point.speed / 1e6 for point in found]
    ratios = [point.ratio * 100 for point in found]
    low, high = math.log2(min(speeds) * 0.9), math.log2(max(speeds) * 1.25)
    floor, ceiling = math.floor(min(ratios)) - 0.5, math.ceil(max(ratios)) + 0.5

    def place(speed, ratio):
        across = (math.log2(speed) - low) / (high - low) * (WIDTH - LEFT - 30)
        return LEFT + across, TOP + (ceiling - ratio) / (ceiling - floor) * HEIGHT

    lines = frame(TOP + HEIGHT + BOTTOM, "Stored bytes against speed, by level (one thread; lower right is better)")
    lines += axes(place, low, high, floor, ceiling)
    for name, ink in INKS.items():
        lines += curve(place, [point for point in found if point.format == name], ink)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "codecs.svg").write_text("\n".join([*lines, "</svg>"]) + "\n")


def axes(place, low, high, floor, ceiling):
    lines = []
    for ratio in range(math.ceil(floor), math.floor(ceiling) + 1):
        _, y = place(2**low, ratio)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - 30}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e7ea"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{ratio} %</text>')
    for speed in (5, 10, 20, 50, 100, 200, 500):
        if low < math.log2(speed) < high:
            x, _ = place(speed, floor)
            lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="#e4e7ea"/>')
            lines.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle" fill="{INK}">{speed} MB/s</text>')
    return lines


def curve(place, found, ink):
    """A line through the levels of one format, its steps between algorithms included."""
    at = [place(point.speed / 1e6, point.ratio * 100) for point in found]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    lines = [f'<polyline points="{drawn}" fill="none" stroke="{ink}" stroke-opacity="0.4"/>']
    for point, (x, y) in zip(found, at, strict=True):
        profile = point.profile
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if profile else 2.5}" fill="{ink}"/>')
        if profile:
            text = f"{profile}: {point.format.upper()} {point.level}"
            # The formats' curves are close: one is labelled to the right below, the other to the left above.
            below = point.format == "lzx"
            anchor, side, beside = ("start", 8, y + 20) if below else ("end", -10, y - 8)
            lines.append(f'<text x="{x + side:.1f}" y="{beside:.1f}" text-anchor="{anchor}" fill="{ink}" font-weight="bold">{text}</text>')
    return lines
