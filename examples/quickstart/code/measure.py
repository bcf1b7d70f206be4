"""Measure the mean lifetime from decay times and draw their histogram."""

import argparse
from pathlib import Path

BINS = 10
LONGEST_US = 10.0
WIDEST = 50

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("decays", type=Path)
parser.add_argument("--output", type=Path, required=True)
wanted = parser.parse_args()

times = [float(line) for line in wanted.decays.read_text().splitlines()]
mean = sum(times) / len(times)
error = mean / len(times) ** 0.5
lines = [f"muon lifetime: {mean:.3f} +- {error:.3f} us from {len(times)} decays", ""]
counts = [0] * BINS
for time in times:
    if time < LONGEST_US:
        counts[int(time / LONGEST_US * BINS)] += 1
for number, count in enumerate(counts):
    bar = "#" * round(WIDEST * count / max(counts))
    lines.append(f"{number * LONGEST_US / BINS:4.0f} us |{bar} {count}")
wanted.output.write_text("\n".join(lines) + "\n")
print(lines[0])
