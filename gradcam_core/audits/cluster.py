"""The same work on Ray Data: photos' names in, a pool of workers that make rows of them, Parquet out.

Ray schedules, retries and restarts; nothing of that is done here. Each worker is an `Explainer`, as on one machine.
"""

import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GradcamError, SettingError
from ..networks.files import is_file
from ..networks.loading import load
from ..quiet import import_tensorflow
from .batches import Asked, Explainer
from .extras import needed
from .listing import Item
from .rows import parts, place, schema

if TYPE_CHECKING:
    import pyarrow as pa

    from ..networks.classifier import Classifier

BLOCK = 8  # batches, at least, that are one task and one file: what is lost when a machine is
FILES = 10_000  # at most, of very many photos: a folder of more takes long to list
SPARE = 0.1  # of a processor, left by each worker for the tasks that write


def run_on_ray(
    address: str | bool,
    folder: Path,
    items: Iterable[Item],
    count: int,
    asked: Asked,
    network: "Classifier | str | os.PathLike[str]",
    loading: dict[str, Any],
    cpus: int,
    tell: Callable[[int], None],
) -> None:
    """Make rows of photos on a cluster, and write them into ``folder / "rows"``, which all its machines must see.

    Args:
        address: True for this machine, or that of a cluster.
        folder: of the audit.
        items, count: photos, at paths that all machines see, and about how many.
        asked: what is asked of them.
        network, loading: what `load` is told, on each machine; or a network, of which each is sent a copy.
        cpus: processors of each worker.
        tell: called with the number of rows that are there, every two seconds; what it raises ends it.

    Raises:
        SettingError: the cluster cannot be reached, or ended the work; or the network cannot be sent.
    """
    ray, data = needed("ray", "ray"), needed("ray.data", "ray")
    tables = list(_tables(items, max(BLOCK * asked.batch, count // FILES)))
    if not tables:
        return
    given = _name(network) if isinstance(network, str | os.PathLike) else _copy(network)
    loading = {key: _everywhere(value) if _is_path(value) else value for key, value in loading.items()}
    is_ours = not ray.is_initialized()
    if is_ours:
        _connect(ray, address)
    try:
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.enable_operator_progress_bars = False
        total = int(ray.cluster_resources().get("CPU", 1))
        each = max(1, min(cpus, total))
        work = data.from_arrow(tables).map_batches(
            Worker,
            fn_constructor_kwargs={"network": given, "loading": loading, "asked": asked, "cpus": each},
            batch_size=None,  # a block, which is one of the tables
            batch_format="pyarrow",
            num_cpus=each - SPARE,
            compute=data.ActorPoolStrategy(min_size=1, max_size=max(1, min(total // each, len(tables)))),
        )
        there, rows = place(folder)
        there.create_dir(rows)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(work.write_parquet, rows, filesystem=there, ray_remote_args={"num_cpus": SPARE / 2})
            try:
                for count in _counts(folder):
                    tell(count)
                    if wait([writing], 2).done:
                        break
            except BaseException:
                if is_ours:
                    ray.shutdown()  # or the thread would write on
                raise
            writing.result()
    except (ray.exceptions.RayError, OSError) as error:
        raise SettingError(
            f"Ray has ended the audit: {_reason(error)} The rows that were written stay; the same command goes on."
        ) from error
    finally:
        if is_ours:
            ray.shutdown()


class Worker:
    """Makes a table of rows of a table of photos. Ray makes one in each process of the pool.

    Args:
        network: what `load` takes with ``loading``, or what `_copy` gave.
        asked: what is asked of the photos.
        cpus: processors that it may use.
    """

    def __init__(self, network: str | bytes, loading: dict[str, Any], asked: Asked, cpus: int) -> None:
        import_tensorflow()
        import tensorflow as tf

        # Ray counts processors, but TensorFlow would take all of the machine's.
        tf.config.threading.set_intra_op_parallelism_threads(cpus)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        loaded = load(network, **loading) if isinstance(network, str) else pickle.loads(network)
        self.explainer = Explainer(loaded, asked, readers=1 + cpus // 2)
        self.columns = schema(self.explainer.suffixes.values())

    def __call__(self, photos: "pa.Table") -> "pa.Table":
        """Rows, as `rows.schema` has them, of photos, a column for each field of `Item`."""
        pa = needed("pyarrow")
        rows = self.explainer.rows(Item(**photo) for photo in photos.to_pylist())
        return pa.Table.from_pylist(list(rows), schema=self.columns)


def _name(network: str | os.PathLike[str]) -> str:
    return _everywhere(os.fspath(network)) if is_file(os.fspath(network)) else os.fspath(network)


def _copy(network: "Classifier") -> bytes:
    """Pickled here and not by Ray, whose workers would import TensorFlow before they know how many threads it gets."""
    try:
        return needed("ray.cloudpickle", "ray").dumps(network)
    except Exception as error:  # whatever a layer or a preprocessing of somebody's own raises
        raise SettingError(
            f"{network.name} cannot be sent to the cluster's machines: {_reason(error)} Save it, and give its path."
        ) from error


def _connect(ray: Any, address: str | bool) -> None:  # noqa: ANN401
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    try:
        if address is True:
            ray.init(address="local", include_dashboard=False, object_store_memory=512 << 20, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, OSError, RuntimeError) as error:
        raise SettingError(f"There is no cluster of Ray at {address!r}: {_reason(error)}") from error


def _tables(items: Iterable[Item], size: int) -> Iterator["pa.Table"]:
    pa = needed("pyarrow")
    kinds = [pa.string(), pa.string(), pa.int32(), pa.list_(pa.list_(pa.float64())), pa.bool_()]
    columns = pa.schema(list(zip(Item._fields, kinds, strict=True)))
    items = iter(items)
    while some := [item._replace(path=_everywhere(item.path))._asdict() for item in islice(items, size)]:
        yield pa.Table.from_pylist(some, schema=columns)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and Path(value).exists()


def _everywhere(path: str) -> str:
    """A path that means the same whatever folder a worker runs in."""
    return path if "://" in path else str(Path(path).absolute())


def _counts(folder: Path) -> Iterator[int]:
    """The number of rows in files that were not there at first, again and again."""
    pa, parquet = needed("pyarrow"), needed("pyarrow.parquet")
    there, _ = place(folder)
    known = dict.fromkeys(parts(folder), 0)
    while True:
        for path in parts(folder):
            if path not in known:
                try:
                    known[path] = parquet.read_metadata(path, filesystem=there).num_rows
                except (pa.ArrowException, OSError):
                    continue  # it is being written
        yield sum(known.values())


def _reason(error: BaseException) -> str:
    """The sentence of an error of ours inside those of Ray; else its last line."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, GradcamError):
            return str(inner)
        inner = getattr(inner, "cause", None) or inner.__cause__
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".") + "."
