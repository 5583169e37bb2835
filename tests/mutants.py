"""The outcome of `make mutate` by file: how many of the small faults that were planted some test noticed."""

import json
from collections import Counter
from pathlib import Path

NOTICED = {1, 3, 24, -24, 36, 152, 255}  # a test failed, or the mutant never came to an end


def outcomes(folder: Path) -> dict[str, Counter]:
    """By file: how many mutants were noticed, unnoticed, met by no test, or not tried (yet)."""
    found = {}
    for path in sorted(folder.rglob("*.py.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"].values()
        words = ("noticed" if c in NOTICED else {0: "unnoticed", 33: "no test"}.get(c, "not tried") for c in codes)
        if counts := Counter(words):
            found[str(path.relative_to(folder)).removesuffix(".meta")] = counts
    return found


def main() -> None:
    words = ("noticed", "unnoticed", "no test", "not tried")
    print(f"{'':36}" + "".join(f"{word:>11}" for word in (*words, "share")))
    for name, counts in outcomes(Path("mutants")).items():
        tried = counts.total() - counts["not tried"]
        share = f"{100 * counts['noticed'] / tried:.0f} %" if tried else "-"
        print(f"{name:36}" + "".join(f"{counts[word]:>11}" for word in words) + f"{share:>11}")


if __name__ == "__main__":
    main()
