"""Photos of every format, damaged in every way: each must give a photo or a sentence, within limits.

    make fuzz                              # an hour
    FUZZ_SECONDS=60 FUZZ_SEED=7 make fuzz  # a minute, of other damage

What breaks a limit, or ends in anything but a photo or a sentence, is kept in build/fuzz to be looked at.
"""

import os
import re
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from photo_files import KINDS, encode, few_colours, noise, smooth
from PIL import Image
from profiles import DISPLAY_P3, monitor_profile, press_profile, srgb_curve

from gradcam_core.errors import PhotoError
from gradcam_core.photos import MAX_BYTES, read_image

MAX_SECONDS = 2.0  # of processor time, for one photo
MAX_MEMORY = 1.5e9  # bytes, of this process and those that decode for it
KEPT = Path(__file__).parents[2] / "build" / "fuzz"
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 40_000_000, 0x7FFFFFFF, 0xFFFFFFFF)

Damage = Callable[[bytearray, np.random.Generator], bytearray]


def whole_photos() -> dict[str, list[bytes]]:
    """Files without damage, by format: every way of storing that Pillow can write, with all that can go with it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a taxi" * 40
    colour = monitor_profile(DISPLAY_P3, srgb_curve())
    photos, scene = {}, Image.fromarray(smooth(120, 160))
    for kind, options in KINDS:
        more = {} if kind in ("GIF", "BMP") else {"exif": exif, "icc_profile": colour}
        found = photos.setdefault(kind, [])
        found += [noise(kind, options), encode(scene, kind, **options), encode(scene, kind, **options, **more)]
    drawn = Image.fromarray(few_colours())
    frames = {"save_all": True, "append_images": [drawn.rotate(180), drawn.rotate(90)]}
    for kind in ("PNG", "GIF", "WEBP", "TIFF", "AVIF"):
        photos[kind].append(encode(drawn, kind, **frames))
    for kind in ("PNG", "WEBP", "TIFF", "AVIF"):
        photos[kind].append(encode(drawn.convert("RGBA"), kind))
    for mode in ("1", "L", "P"):
        for kind in ("PNG", "GIF", "BMP", "TIFF"):
            photos[kind].append(encode(drawn.convert(mode), kind))
    inks = Image.merge("CMYK", [*scene.split(), scene.getchannel("G")])
    for kind in ("JPEG", "TIFF"):
        photos[kind].append(encode(inks, kind, icc_profile=press_profile(3)))
    photos["JPEG"].append(encode(scene, "JPEG", progressive=True, exif=exif, comment=b"comment" * 9))
    for dtype in (np.uint16, np.int32, np.float32):
        photos["TIFF"].append(encode(Image.fromarray((smooth(24, 32)[..., 0] / 255).astype(dtype)), "TIFF"))
    for compression in ("tiff_adobe_deflate", "packbits"):
        photos["TIFF"].append(encode(scene, "TIFF", compression=compression))
    return photos


def _bytes(content: bytearray, random: np.random.Generator) -> bytearray:
    for place in random.integers(0, min(len(content), random.choice([64, 400, len(content)])), random.integers(1, 9)):
        content[place] = random.integers(256)
    return content


def _number(content: bytearray, random: np.random.Generator) -> bytearray:
    size, order = int(random.choice([2, 4])), str(random.choice(["little", "big"]))
    place = int(random.integers(0, min(len(content), 600)))
    content[place : place + size] = (int(random.choice(NUMBERS)) & (256**size - 1)).to_bytes(size, order)
    return content


def _part(content: bytearray, random: np.random.Generator) -> tuple[int, int]:
    start = int(random.integers(0, len(content)))
    return start, start + int(random.integers(1, random.choice([8, 64, len(content) + 1])))


def _removed(content: bytearray, random: np.random.Generator) -> bytearray:
    start, end = _part(content, random)
    return content[:start] + content[end:]


def _repeated(content: bytearray, random: np.random.Generator) -> bytearray:
    start, end = _part(content, random)
    times = int(min(random.choice([2, 30, 3000, 300_000]), (MAX_BYTES - len(content)) // max(end - start, 1)))
    return content[:start] + content[start:end] * max(times, 1) + content[end:]


def _moved(content: bytearray, random: np.random.Generator) -> bytearray:
    start, end = _part(content, random)
    to = int(random.integers(0, len(content)))
    return content[:to] + content[start:end] + content[to:]


def _cut(content: bytearray, random: np.random.Generator) -> bytearray:
    return content[: int(random.integers(0, len(content)))]


DAMAGES: tuple[Damage, ...] = (_bytes, _bytes, _number, _number, _removed, _repeated, _moved, _cut)


def damaged(seed: int) -> Iterator[tuple[str, bytes]]:
    """Format and file, without end: the same ones for the same seed."""
    random, photos = np.random.default_rng(seed), whole_photos()
    while True:
        for kind, files in photos.items():
            content = bytearray(files[random.integers(len(files))])
            for _ in range(random.integers(1, 4)):
                if content:
                    content = DAMAGES[random.integers(len(DAMAGES))](content, random)
            if kind == "PNG" and random.random() < 0.8:
                content = _with_right_sums(content)
            yield kind, bytes(content[:MAX_BYTES])


def _with_right_sums(content: bytearray) -> bytearray:
    """A PNG whose chunks have the right sums: one with a wrong one is looked at no further."""
    at = 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        content[end : end + 4] = zlib.crc32(content[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return content


def _decoding(pid: int) -> Iterator[int]:
    """The processes that this one has started to decode for it."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            for child in map(int, task.read_text().split()):
                if b"gradcam_core.photos.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield child
                    yield from _decoding(child)


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Findings:
    """What the run has seen."""

    counts: Counter = field(default_factory=Counter)  # (format, "photo", or the first words of the sentence)
    seconds: float = 0.0  # processor time of the dearest photo
    clock: float = 0.0  # and by the clock, which also counts what the machine does beside it
    memory: float = 0.0  # bytes, the peak of all processes together
    faults: list[str] = field(default_factory=list)


class Watch:
    """Processor time and memory of this process and those that decode for it, ended ones too.

    What this process had before is not counted.
    """

    def __init__(self) -> None:
        self._own, self._used, self.memory = _memory(os.getpid()), {}, 0.0
        self._lock = threading.Lock()

    def look(self) -> float:
        """-> processor time, in seconds."""
        with self._lock:
            memory = -self._own
            for pid in (os.getpid(), *_decoding(os.getpid())):
                with suppress(OSError):
                    memory += _memory(pid)
                    self._used[pid] = time.clock_gettime((~pid << 3) | 2)  # its clock, as clock_getcpuclockid(3) has it
            self.memory = max(self.memory, memory)
            return sum(self._used.values())

    @contextmanager
    def going_on(self, every: float = 0.02) -> Iterator[None]:
        ended = threading.Event()

        def look_on() -> None:
            while not ended.wait(every):
                self.look()

        thread = threading.Thread(target=look_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def run(seed: int, is_over: Callable[[int], bool], say: Callable[[Findings, int], None] | None = None) -> Findings:
    """Read damaged photos until ``is_over(how many)``; ``say`` is told now and then."""
    found, watch = Findings(), Watch()
    read_image(noise("PNG", {}))
    with watch.going_on():
        for number, (kind, content) in enumerate(damaged(seed)):
            if is_over(number):
                return found
            before, start = watch.look(), time.perf_counter()
            try:
                read_image(content)
                ending = "photo"
            except PhotoError as error:
                ending = " ".join(re.match(r"The (?:photo|array) ([^\d]*)", str(error))[1].split()[:5])
            except BaseException as error:  # noqa: BLE001 - that is what is looked for
                ending = f"{type(error).__name__}: {error}"
                found.faults.append(_keep(content, kind, seed, number, ending))
            clock, seconds = time.perf_counter() - start, watch.look() - before
            found.counts[kind, ending] += 1
            found.clock, found.seconds = max(found.clock, clock), max(found.seconds, seconds)
            if seconds > MAX_SECONDS or watch.memory > max(MAX_MEMORY, found.memory):
                found.faults.append(_keep(content, kind, seed, number, f"{seconds:.1f} s, {watch.memory / 1e6:.0f} MB"))
            found.memory = watch.memory
            if say and number % 1000 == 0:
                say(found, number)
    return found


def _keep(content: bytes, kind: str, seed: int, number: int, why: str) -> str:
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{seed}-{number}.{kind.lower()}"
    path.write_bytes(content)
    return f"{path.name}: {why}"


def main() -> int:
    """Run for FUZZ_SECONDS (an hour) with FUZZ_SEED (the time) -> the exit status."""
    until = time.monotonic() + float(os.environ.get("FUZZ_SECONDS") or 3600)
    seed = int(os.environ.get("FUZZ_SEED") or time.time())
    print(f"Seed {seed}", flush=True)

    def say(found: Findings, count: int) -> None:
        print(
            f"{count} photos; the dearest took {found.seconds:.2f} s of the processor and {found.clock:.2f} s by the "
            f"clock; peak memory {found.memory / 1e6:.0f} MB; {len(found.faults)} faults",
            flush=True,
        )

    found = run(seed, lambda _: time.monotonic() > until, say)
    say(found, sum(found.counts.values()))
    for (kind, ending), count in sorted(found.counts.items()):
        print(f"{kind:5} {count:8} {ending}")
    print(*found.faults, sep="\n")
    return bool(found.faults)


if __name__ == "__main__":
    sys.exit(main())
