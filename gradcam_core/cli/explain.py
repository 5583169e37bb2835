"""``gradcam explain``: write heat maps of photos."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from .. import COLORMAPS
from ..pictures.regions import check_threshold
from ..pictures.saving import file_name
from ..settings import FUSIONS
from .options import each, explained, load_network, of_maps, of_network, say


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "explain",
        parents=[of_network(), of_maps()],
        help="write heat maps of photos",
        description="Write heat maps of photos, by layer.",
    )
    command.add_argument("photos", nargs="+", metavar="PHOTO", help="JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF")
    group = command.add_argument_group("pictures")
    group.add_argument(
        "--opacity", type=float, default=0.4, metavar="0..1", help="of the heat map (default: %(default)s)"
    )
    group.add_argument("--colormap", choices=COLORMAPS, default="jet", help="(default: %(default)s)")
    group.add_argument(
        "--additive", action="store_true", help="add the colours to the photo, as many articles do, instead of blending"
    )
    group.add_argument("--colorbar", action="store_true", help="put a bar with numbers under each picture of a layer")
    group.add_argument("--fuse", choices=FUSIONS, help="also write one picture of all layers in one map")
    group.add_argument(
        "--boxes",
        type=float,
        metavar="THRESHOLD",
        help="also write the boxes around what is at least this share of each map's peak, from above 0 to 1: as COCO "
        "JSON, and drawn on the photo",
    )
    group.add_argument(
        "--out",
        type=Path,
        default=Path("gradcam-out"),
        metavar="DIR",
        help="each photo gets a folder of its own in it (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write heat maps of photos; returns the exit code."""
    if options.boxes is not None:
        check_threshold(options.boxes)  # before anything is fetched and explained
    network = load_network(options)
    folders = _folders(options.photos, options.out)

    def one(photo: str) -> None:
        result = explained(options, network, photo)
        folder = folders[photo]
        result.save(
            folder,
            opacity=options.opacity,
            colormap=options.colormap,
            mode="add" if options.additive else "alpha",
            fusion=options.fuse,
            colorbar=options.colorbar,
            boxes=options.boxes,
            photo_name=Path(photo).name,
        )
        empty = [name for name, heat_map in result.maps.items() if heat_map.is_empty]
        say(f"{photo}: {result.target.name} {result.target.text} -> {folder}")
        if empty:
            say(f"  no evidence for {result.target.name} in {', '.join(empty)}")

    return each(options.photos, one, "explained")


def _folders(photos: Sequence[str], out: Path) -> dict[str, Path]:
    """A folder of its own for each photo, by its file name; equal names from different folders are numbered."""
    folders: dict[str, Path] = {}
    for photo in dict.fromkeys(photos):
        stem, number = file_name(Path(photo).stem, also=" ").strip("_ ") or "photo", 1
        folder = out / stem
        while str(folder).casefold() in (str(taken).casefold() for taken in folders.values()):
            number += 1
            folder = out / f"{stem}-{number}"
        folders[photo] = folder
    return folders
