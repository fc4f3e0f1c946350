"""`python -m tests.chaos embedded --kills 50 --seed 1`: the long form of what tests/chaos tests in short."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos import embedded


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("profile", choices=["embedded"])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    files = sorted(embedded.INVOICES.glob("*.csv"))
    if not files:
        print(f"no invoices in {embedded.INVOICES}", file=sys.stderr)
        return 2
    with TemporaryDirectory(prefix="factline-chaos-") as folder:
        result = embedded.run(
            kills=asked.kills,
            seed=asked.seed,
            folder=Path(folder),
            files=files,
            say=lambda text: print(text, flush=True),
        )
    embedded.write(result, Path("build/chaos-embedded.json"))
    for name, value in result.as_json().items():
        print(f"{name}: {value}")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
