"""What cameras cost: one visitor's frames, and a crowd of whom some are live.

    python -m benchmarks.live                                     # half a minute
    python -m benchmarks.live --visitors 30 --streams 5 --seconds 600

Prints a table: the frames a second that one visitor gets, in a real browser with a camera that is made up, and over
plain HTTP, and the processor time of a frame; then what a crowd meets that drops photos, without and with visitors
beside it who stream: the time to an answer, the frames of each stream, whether anyone got what is another's, and
memory. Each stream's frames have a colour of their own; the last answer of each is held against the engine's.
"""

import argparse
import base64
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import httpx
import numpy as np
import psutil

import gradcam_core as gc
from benchmarks.page import Met, crowd, picture_of

NETWORK = next(iter(gc.NETWORKS))
ALONE = 7  # seconds
COLOURS = 60  # the first of the streams' colours: those of the crowd come before


@dataclass
class Streamed:
    """One stream: when its answers came, how many asked for patience, and its last frame and answer."""

    times: list[float]
    waited: int
    frame: bytes
    answer: dict

    def is_mine(self) -> bool:
        """Whether the last answer has the maps that the engine makes of the last frame."""
        expected = gc.explain(gc.load(NETWORK), self.frame)
        shown = [np.frombuffer(base64.b64decode(one["heat"]), "<u2") / 65535 for one in self.answer["maps"]]
        return self.answer["guesses"][0]["name"] == expected.target.name and all(
            np.abs(levels - heat_map.heat.ravel()).max() <= 2 / 255
            for levels, heat_map in zip(shown, expected.maps.values(), strict=True)
        )


def stream(url: str, number: int, is_over: threading.Event) -> Streamed:
    """Send frames, each as soon as the answer to the last is there, until it is over."""
    found = Streamed([], 0, b"", {})
    with httpx.Client(base_url=f"{url}/gradio_api", timeout=120) as client:
        name = client.post("/live", json={"network": NETWORK}).raise_for_status().json()["stream"]
        while not is_over.is_set():
            frame = picture_of(COLOURS + number, (224, 224))
            body = b"data:image/jpeg;base64," + base64.b64encode(frame)
            answer = client.post(f"/live/{name}", content=body)
            if answer.status_code == 410:  # its time is over: it begins anew, as its visitor may
                name = client.post("/live", json={"network": NETWORK}).raise_for_status().json()["stream"]
                continue
            content = answer.raise_for_status().json()
            if content["maps"]:
                found.times.append(time.monotonic())
                found.frame, found.answer = frame, content
            else:
                found.waited += 1
        client.post(f"/live/{name}/end")
    return found


def rate(times: list[float]) -> float:
    """Frames a second between the first and the last."""
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


def processor_time(processes: list[psutil.Process]) -> float:
    """Seconds that these processes have computed so far."""
    return sum(sum(one.cpu_times()[:2]) for one in processes if one.is_running())


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def alone(server: "object", browser: "object") -> dict[str, str]:
    """One visitor, in a browser and over plain HTTP."""
    from browser import Visitor

    visitor = Visitor(browser.new_context(), server.url)
    visitor.page.locator("#go-live").click()
    visitor.page.wait_for_function("document.querySelector('.lv-rate').textContent")
    visitor.page.evaluate(
        """() => {
            window.seen = [];
            const note = () => seen.push(performance.now());
            new MutationObserver(note).observe(document.querySelector('.lv-rate'), { childList: true });
        }"""
    )
    here = [one for one in family(os.getpid()) if one.pid != os.getpid() and "chrom" in one.name().lower()]
    before = processor_time(family(server.pid)), processor_time(here)
    visitor.page.wait_for_timeout(1000 * ALONE)
    seen = [moment / 1000 for moment in visitor.page.evaluate("seen")]
    after = processor_time(family(server.pid)), processor_time(here)
    visitor.page.close()
    is_over, count = threading.Event(), len(seen)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(stream, server.url, 0, is_over)
        time.sleep(ALONE)
        is_over.set()
        plain = coming.result()
    return {
        "one visitor in a browser: frames a second": f"{rate(seen):.1f}",
        "processor time of a frame there: server, browser": (
            f"{1000 * (after[0] - before[0]) / count:.0f} ms, {1000 * (after[1] - before[1]) / count:.0f} ms"
        ),
        "one visitor over plain HTTP: frames a second": f"{rate(plain.times):.1f}",
    }


def beside(server: "object", visitors: int, streams: int, seconds: float) -> tuple[Met, list[Streamed], float, float]:
    """A crowd that drops photos, and so many streams -> what they met, and memory (MiB) early and at the end."""
    is_over = threading.Event()

    def memory() -> float:
        return sum(one.memory_info().rss for one in family(server.pid)) / 2**20

    with ThreadPoolExecutor(streams + 1) as pool:
        streaming = [pool.submit(stream, server.url, number, is_over) for number in range(streams)]
        coming = pool.submit(crowd, server.url, visitors, seconds, (1280, 960))
        time.sleep(min(15, seconds / 2))
        early = memory()
        met = coming.result()
        late = memory()
        is_over.set()
        return met, [one.result() for one in streaming], early, late


def main() -> None:
    import chromium
    from playwright.sync_api import sync_playwright
    from serving import serve

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=30, help="of whom --streams are live")
    parser.add_argument("--streams", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    rows = {f"load of the {os.cpu_count()} cores before": f"{os.getloadavg()[0]:.1f}"}
    flags = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with (
        tempfile.TemporaryDirectory() as name,
        serve(Path(name), "--live", options.streams, from_scratch=True) as server,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium.find(), args=flags)
        rows |= alone(server, browser)
        browser.close()
        crowded = options.visitors - options.streams
        for streams, count in ((0, crowded), (options.streams, crowded), (options.streams, 1)):
            met, streamed, early, late = beside(server, count, streams, options.seconds)
            waits = sorted(met.waits)
            what = f"{count} with photos, {streams} live, {options.seconds:.0f} s"
            rows[f"{what}: from the upload to the answer, median / 95th percentile"] = (
                f"{median(waits):.2f} / {waits[int(0.95 * len(waits))]:.2f} s"
            )
            rows[f"{what}: photos"] = ", ".join(f"{number} {kind}" for kind, number in met.happened.most_common())
            wrong = sum(not one.is_mine() for one in streamed) + met.wrong_maps()
            rows[f"{what}: last answers that are another's"] = f"{wrong} of {len(streamed) + len(met.last)}"
            rows[f"{what}: memory early, and growth to the end"] = f"{early:.0f} MiB, {late - early:+.0f} MiB"
            if streams:
                rates = ", ".join(f"{rate(one.times):.1f}" for one in streamed)
                rows[f"{what}: frames a second of each stream"] = rates
                rows[f"{what}: frames for which photos were not let wait"] = str(sum(one.waited for one in streamed))
        rows["errors in the server's log"] = str(server.log.read_text().count("Traceback"))
    print("| | |\n| --- | ---: |")
    for what, figure in rows.items():
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
