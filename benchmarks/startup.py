"""How long the page takes from ``python app.py`` to its first answer and its first explained photo, and its memory.

    python benchmarks/startup.py

The page runs with its default network in a process of its own; the photo is one of Gradio's examples.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from gradio.media import get_image
from gradio_client import Client, handle_file

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GRADIO_TEMP_DIR": folder}
        start = time.perf_counter()
        command = [sys.executable, "app.py", "--port", str(port)]
        page = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            while True:
                try:
                    if httpx.get(url, timeout=60).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.05)
                if page.poll() is not None:
                    sys.exit("The page ended.")
            print(f"first page request answered after {time.perf_counter() - start:5.1f} s")
            client = Client(url, verbose=False, download_files=folder)
            answer, *_ = client.predict(image=handle_file(get_image("lion.jpg")), api_name="/explain")
            print(
                f"first photo explained after      {time.perf_counter() - start:5.1f} s  ({answer['target']['name']})"
            )
            print(f"memory then                      {psutil.Process(page.pid).memory_info().rss / 1e6:5.0f} MB")
        finally:
            page.terminate()
            page.wait(30)


if __name__ == "__main__":
    main()
