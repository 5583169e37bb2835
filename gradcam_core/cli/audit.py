"""``gradcam audit``: explain all photos of a folder, for their labels too, and keep everything as rows."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from ..audits.run import audit, conclude
from ..settings import Progress
from .options import add_method_options, file_settings, load_network, of_network


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "audit",
        parents=[of_network()],
        help="explain all photos of a folder, and keep what was found as a table",
        description="Predict and explain every photo, for what is predicted and for its label, and keep all as rows of "
        "Parquet files. The same command goes on where it was stopped.",
    )
    command.add_argument(
        "photos",
        metavar="PHOTOS",
        help="a folder with a folder for each class; a table (.csv, .tsv, .parquet) with path, label and boxes; or a "
        "COCO file (.json)",
    )
    command.add_argument(
        "--out", type=Path, default=Path("gradcam-audit"), metavar="DIR", help="(default: %(default)s)"
    )
    group = command.add_argument_group("what is audited")
    group.add_argument("--unlabelled", action="store_true", help="take no labels: audit what is predicted")
    group.add_argument("--root", metavar="DIR", help="where paths in a table or COCO file start (default: beside it)")
    group.add_argument(
        "--layers",
        default="last",
        metavar="LAYERS",
        help="stages, all, last, or names with commas between (default: %(default)s)",
    )
    add_method_options(group)
    group.add_argument("--rows-only", action="store_true", help="keep the rows alone: no findings, no report")
    group = command.add_argument_group("how fast")
    group.add_argument("--batch", type=int, default=16, metavar="N", help="photos at once (default: %(default)s)")
    group.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="bfloat16 is faster for large convolutions where the processor has it (default: %(default)s)",
    )
    group.add_argument(
        "--ray",
        nargs="?",
        const=True,
        default=False,
        metavar="ADDRESS",
        help="run on Ray Data: on this machine, or on the cluster at an address",
    )
    group.add_argument(
        "--cpus", type=int, default=4, metavar="N", help="processors of each of Ray's workers (default: %(default)s)"
    )
    group.add_argument(
        "--rows",
        metavar="WHERE",
        help="where Ray's workers write rows, such as s3://bucket/rows (default: below --out)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Audit photos; returns the exit code."""
    network = load_network(options)  # says what is being downloaded, and how the network is read
    bars: dict[str, tqdm] = {}

    def progress_of(what: str) -> Progress:
        def progress(done: int, total: int) -> None:
            if what not in bars:
                unit = {"classes": "class", "counter-tests": "test"}.get(what, "photo")
                how = {"total": total, "initial": done, "unit": unit, "file": sys.stderr, "smoothing": 0}
                bars[what] = tqdm(desc=what, disable=None, **how)
            bars[what].update(done - bars[what].n)

        return progress

    try:
        found = audit(
            options.network if options.ray else network,
            options.photos,
            options.out,
            labelled=not options.unlabelled,
            root=options.root,
            layers=options.layers.split(",") if "," in options.layers else options.layers,
            method=options.method,
            score=options.score,
            smoothing=options.smoothing,
            precision=options.precision,
            batch=options.batch,
            ray=options.ray,
            cpus=options.cpus,
            rows=options.rows,
            report=False,
            loading=file_settings(options) if options.ray else None,
            progress=progress_of("audit"),
        )
        if not options.rows_only:
            found = conclude(found, network, progress_of)
    finally:
        for bar in bars.values():
            bar.close()
    failed = f", {found.failed} of them failed" if found.failed else ""
    print(f"{found.photos} photos{failed}: rows in {options.rows or found.folder / 'rows'}")
    if found.findings is not None:
        print(f"\n{found.findings.text()}\n\nMore in {found.report}")
    return 0
