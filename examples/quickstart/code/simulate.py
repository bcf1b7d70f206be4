"""Write the decay times of muons at rest, in microseconds, one per line."""

import argparse
import random
from pathlib import Path

LIFETIME_US = 2.197

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--events", type=int, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--output", type=Path, required=True)
wanted = parser.parse_args()

generator = random.Random(wanted.seed)
times = [generator.expovariate(1 / LIFETIME_US) for _ in range(wanted.events)]
wanted.output.parent.mkdir(parents=True, exist_ok=True)
wanted.output.write_text("".join(f"{time:.6f}\n" for time in times))
print(f"{wanted.events} muons decayed")
