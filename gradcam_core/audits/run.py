"""`audit`: all photos of a folder, explained and measured; it goes on where it was stopped."""

import hashlib
import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SettingError, WriteError
from ..maps.explain import versions
from ..networks.loading import load, network_of
from ..photos.channels import picture_of
from ..settings import Progress, check_count
from .batches import Asked, Explainer, Row, Rows, source
from .extras import needed
from .fiftyone import export_fiftyone
from .findings import Findings, ProgressOf, find
from .listing import Listing, listed
from .report import write_report
from .rows import About, parts, path_of, photos_in, read_about, read_rows, schema, suffixes, write_about, write_part

if TYPE_CHECKING:
    import pyarrow as pa

    from ..networks.classifier import Classifier
    from ..networks.loading import NetworkLike

# A part is written when it has so many rows, or is so old: what a kill can cost.
PART_ROWS = 1024
PART_SECONDS = 5.0


@dataclass(frozen=True)
class Audit:
    """What an audit gave.

    Attributes:
        folder: where everything lies.
        photos: how many there are.
        failed: how many of them could not be read or explained; each has a row that says why.
        findings: what was found in the rows; None where only rows were asked for.
        report: the page that shows it; None where only rows were asked for.
    """

    folder: Path
    photos: int
    failed: int
    findings: Findings | None = None
    report: Path | None = None

    def rows(self, columns: list[str] | None = None, of_class: int | None = None) -> "pa.Table":
        """The rows, as `audits.rows.read_rows` gives them: ``.to_pandas()`` makes a data frame of them."""
        return read_rows(self.folder, columns, of_class)

    def export_fiftyone(self, out: str | os.PathLike[str]) -> Path:
        """Write everything as a dataset for FiftyOne; see `audits.fiftyone.export_fiftyone`."""
        return export_fiftyone(self.folder, out)


def audit(
    network: "NetworkLike",
    photos: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    labelled: bool = True,
    root: str | os.PathLike[str] | None = None,
    layers: str | list[str] = "last",
    method: str = "gradcam",
    score: str = "logit",
    smoothing: str = "none",
    precision: str = "float32",
    batch: int = 16,
    ray: str | bool = False,
    cpus: int = 4,
    rows: str | None = None,
    report: bool = True,
    loading: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Predict and explain every photo of a folder, for what is predicted and for its label, and say what stands out.

    All is kept as rows, in which is looked for what a person would look for; a page shows it with its photos.

    The same call goes on where an earlier one was stopped. A photo that cannot be read is a row with its error.

    Args:
        network: as `explain` takes it. On a cluster each machine loads it by its name or its path; a network that is
            loaded already is copied to them.
        photos: a folder with a folder for each class, or with photos alone; a table (.csv, .tsv, .parquet) with a
            column ``path`` and perhaps ``label`` and ``boxes``; or a COCO file (.json); see `audits.listing.listed`.
        out: the folder that everything is written into; an audit of other settings in it is refused.
        labelled: False takes no labels: what is predicted is audited.
        root: the folder that paths in a table or a COCO file start from; None takes that of the file.
        layers: as `explain` takes them; "last" is the last stage.
        method, score, smoothing: as `explain` takes them.
        precision: "bfloat16" is faster for large convolutions, where the processor has it, and a little less exact.
        batch: photos that go through the network at once, of the network's input size.
        ray: True runs on Ray Data on this machine, an address ("auto", "ray://...") on that cluster.
        cpus: processors of each of Ray's workers, at most.
        rows: where Ray's workers write the rows: an address that pyarrow takes, such as "s3://bucket/rows", or a folder
            that all machines see; None writes them into ``out``.
        report: False keeps the rows, and leaves the findings and the page for later: `conclude`.
        loading: what `load` is told besides, where the network is a name or a path: labels, preprocess, ...
        progress: called as progress(done, total), in photos; and from the start again in classes, in counter-tests and
            in the report's photos. What it raises ends the audit, and no row is lost.

    Raises:
        SettingError: there are no photos, a label does not fit, the folder has another audit, or a setting is not
            possible.
        WriteError: the folder cannot be written; what is in it stays.
        NetworkError, LayerError, TargetError: as `explain`.
    """
    for package in ("pyarrow", "pyarrow.parquet", "pyarrow.dataset", *(("ray",) if ray else ())):
        needed(package, "ray" if package == "ray" else "audit")
    check_count("photos in a batch", batch)
    check_count("processors of a worker", cpus)
    named, loading = network if isinstance(network, str | os.PathLike) else None, dict(loading or {})
    if named is None and loading:
        raise SettingError("With settings of loading, the network is given by its name or its path.")
    if ray and loading.get("weights", "imagenet") is None:
        raise SettingError("Random weights are others on each machine. Load the network, and give it as it is.")
    if rows is not None and not ray:
        raise SettingError("Rows are written elsewhere by a cluster only. Leave rows out, or give ray.")
    network = network_of(network) if named is None else load(named, **loading)
    from ..capture.precision import computing_in
    from ..maps.selection import select

    with computing_in(precision):
        pass  # it is refused before anything is written
    chosen = tuple(layer.name for layer in select(network, layers, method))
    asked = Asked(chosen, method, score, smoothing, precision, batch)
    explainer = Explainer(network, asked)
    network.to_input(network.blank)  # a preprocessing that fails for all photos is no matter of theirs
    listing = listed(network, photos, root, labelled)
    folder = Path(out)
    if folder.resolve().is_relative_to(Path(photos).resolve()):
        raise SettingError(
            f"The folder {str(folder)!r} lies in that of the photos, and would be audited next time. Choose one "
            "outside."
        )
    about = _about(network, asked, listing, Path(photos), labelled, rows)
    with _alone_in(folder):
        _begin(folder, about)
        done = _Done(folder)
        missing = (item for item in listing if item.photo not in done)
        tell = progress or (lambda _done, _total: None)
        tell(len(done), listing.count)
        if ray:
            from .cluster import run_on_ray

            count = len(done)
            run_on_ray(
                ray,
                folder,
                missing,
                listing.count - count,
                asked,
                network if named is None else named,
                loading,
                cpus,
                lambda new: tell(count + new, listing.count),
            )
        else:
            made = _told(explainer.rows(missing), len(done), listing.count, tell)
            _keep(folder, made, schema(explainer.suffixes.values()))
        failed = read_rows(folder, ["error"])["error"]
        found = Audit(folder, listing.count, len(failed) - failed.null_count)
        return _concluded(found, network, lambda _what: progress) if report else found


def conclude(found: Audit, network: "Classifier", progress_of: ProgressOf = lambda _what: None) -> Audit:
    """Find what stands out in an audit's rows, put what is suspected to the test, and write the report.

    Args:
        found: the audit.
        network: the one that was audited.
        progress_of: gives the progress of the "classes", of the "counter-tests" and of the "report".

    Raises:
        SettingError: another audit is writing into the folder; or as `findings.find`.
        WriteError: as `findings.find` and `report.write_report`.
    """
    with _alone_in(found.folder):
        return _concluded(found, network, progress_of)


def _concluded(found: Audit, network: "Classifier", progress_of: ProgressOf) -> Audit:
    root = read_about(found.folder).root

    def pixels(photo: str) -> np.ndarray:
        return picture_of(network.read(source(path_of(root, photo))), network.shown)

    findings = find(found.folder, network, progress_of=progress_of)
    report = write_report(found.folder, findings, pixels, progress=progress_of("report"))
    return replace(found, findings=findings, report=report)


def _about(
    network: "Classifier", asked: Asked, listing: Listing, photos: Path, labelled: bool, rows: str | None
) -> About:
    settings = asdict(asked)
    del settings["batch"]  # the rows are the same
    sum_of_weights = 0
    for weight in network.model.weights:
        sum_of_weights = zlib.crc32(np.ascontiguousarray(weight).tobytes(), sum_of_weights)
    settings |= {"photos": str(photos.resolve()), "labelled": labelled, "root": str(listing.root.resolve())}
    noise = np.random.default_rng(0).integers(0, 256, network.blank.shape).astype(network.blank.dtype)
    prepared = zlib.crc32(np.ascontiguousarray(network.to_input(noise)).tobytes())  # two functions look alike
    settings |= {"network": network.name, "weights": f"{sum_of_weights:08x}", "reading": network.about}
    settings |= {"table": listing.checksum, "preprocessing": f"{prepared:08x}"}
    endings = suffixes(asked.layers)
    return About(
        settings={**settings, "layers": list(asked.layers)},
        root=str(listing.root.resolve()),
        network=network.name,
        measures=network.measures,
        classes=[label.name for label in network.labels],
        layers=[{"name": name, "suffix": endings[name]} for name in asked.layers],
        versions=versions(),
        rows=rows,
    )


def _begin(folder: Path, about: About) -> None:
    """Write what is audited; or see that it is the same as what was begun."""
    if not (folder / "audit.json").exists():
        if parts(folder):
            raise SettingError(
                f"The rows in {str(folder)!r} are of an audit whose audit.json is gone. Choose another folder."
            )
        write_about(folder, about)
        return
    before = read_about(folder)
    for name, value in {**about.settings, "classes": about.classes, "rows": about.rows}.items():
        was = {**before.settings, "classes": before.classes, "rows": before.rows}.get(name)
        if was != value:
            both = "" if name == "classes" else f": {was!r} there, {value!r} now"
            raise SettingError(
                f"The audit in {str(folder)!r} was begun with another setting of {name}{both}. Choose another folder "
                "for this one."
            )


class _Done:
    """The photos that have a row already: of each a number, so that millions fit into memory."""

    def __init__(self, folder: Path) -> None:
        numbers = [np.fromiter(map(self._number, photos), np.uint64, len(photos)) for photos in photos_in(folder)]
        self._numbers = np.unique(np.concatenate([np.empty(0, np.uint64), *numbers]))

    @staticmethod
    def _number(photo: str) -> int:
        return int.from_bytes(hashlib.blake2b(photo.encode(), digest_size=8).digest())

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, photo: str) -> bool:
        number = np.uint64(self._number(photo))
        place = np.searchsorted(self._numbers, number)
        return bool(place < len(self._numbers) and self._numbers[place] == number)


def _told(rows: Rows, done: int, total: int, tell: Progress) -> Rows:
    with closing(rows):
        for number, row in enumerate(rows, done + 1):
            yield row
            tell(number, total)


def _keep(folder: Path, rows: Rows, columns: "pa.Schema") -> None:
    """Write rows as parts; whatever ends it, those that were made are written."""
    numbers = [int(found[1]) for path in parts(folder) if (found := re.fullmatch(r"part-(\d+)", Path(path).stem))]
    number, since = max(numbers, default=-1) + 1, time.monotonic()
    waiting: list[Row] = []

    def write() -> None:
        nonlocal number, waiting, since
        if waiting:
            write_part(folder, waiting, columns, number)
            number += 1
        waiting, since = [], time.monotonic()

    with closing(rows):
        try:
            for row in rows:
                waiting.append(row)
                if len(waiting) >= PART_ROWS or time.monotonic() - since > PART_SECONDS:
                    write()
        finally:
            write()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other audit writes into it; a process that ends, however, lets it go."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise WriteError(f"The folder {str(folder)!r} cannot be written: {error.strerror or error}.") from error
    with file:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingError(f"Another audit is writing into {str(folder)!r}. Wait for it, or stop it.") from error
        yield
