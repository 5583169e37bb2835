"""The docs are true: every block of code in them runs, in its order, and no sentence of an error is left out."""

import getpass
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.dom import minidom

import cv2
import gradio
import httpx
import keras
import pytest
import yaml
from callers import client_of
from error_sentences import GAP, error_sentences, texts
from gradio_client import handle_file
from serving import free_port, serve

import app
import gradcam_core as gc
import gradcam_core.trust
from gradcam_core.cli import main as cli
from gradcam_core.networks.zoo import weights_here
from website import build, links, notebook

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
ADDRESS = "http://127.0.0.1:7860"
PHOTOS = Path(gradio.__file__).parent / "media_assets" / "images"


@dataclass(frozen=True)
class Block:
    """A piece of code in a page, and the number of the line above it."""

    page: Path
    line: int
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```([^\s`]*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(page, text.count("\n", 0, one.start(2)), one[1], one[2]) for one in found]


@pytest.fixture(scope="module")
def page_of_the_docs(tmp_path_factory):
    """The page with its tools, once it has answered: a client that asks it while it still loads may wait too long."""
    with serve(tmp_path_factory.mktemp("docs"), "--mcp") as server:
        client = client_of(server.url)
        client.predict(image=handle_file(PHOTOS / "lion.jpg"), layers="last", api_name="/explain")
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What a reader has at hand: a photo, more of them, and a network with the names of its classes."""
    shutil.copy(PHOTOS / "lion.jpg", tmp_path / "photo.jpg")
    (tmp_path / "photos").mkdir()
    for name in ("cheetah.jpg", "tower.jpg"):
        shutil.copy(PHOTOS / name, tmp_path / "photos" / name)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(inputs, outputs).save(tmp_path / "flowers.keras")
    (tmp_path / "flowers.txt").write_text("daisy\nrose\ntulip\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_in_their_order(page, folder, request, capsys):
    names = {"__name__": "__main__"}
    printed = ""
    address = ADDRESS
    if any(block.language == "python" and ADDRESS in block.code for block in blocks(page)):
        address = request.getfixturevalue("page_of_the_docs").url
    runners: dict[str, Callable[[Block], object]] = {
        "python": lambda block: run_python(block, block.code.replace(ADDRESS, address), names),
        "sh": lambda block: [run_command(line) for line in block.code.splitlines()],
        "json": lambda block: json.loads(block.code),
        "html": lambda block: minidom.parseString(block.code),
        "nginx": lambda block: None,  # has a test of its own
        "text": lambda block: in_words(block.code) == in_words(printed) or pytest.fail(f"It printed {printed}"),
    }
    for block in blocks(page):
        runners[block.language](block)
        printed = capsys.readouterr().out


def in_words(text: str) -> list[str]:
    """What was printed, whatever the numbers: they differ a little between processors."""
    return re.sub(r"[\d.]+", "0", text).split()


def run_python(block: Block, code: str, names: dict[str, object]) -> None:
    compiled = compile("\n" * block.line + code, str(block.page), "exec")
    with ThreadPoolExecutor(1) as other:  # a browser that is driven from this thread has an event loop running in it
        other.submit(exec, compiled, names).result()


def run_command(line: str) -> None:
    """Run a line of shell; what would install something or wait for visitors is only looked at."""
    words = shlex.split(line, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    match words:
        case []:
            pass
        case ["gradcam", *arguments] | ["python", "-m", "gradcam_core", *arguments]:
            run_gradcam([path for word in arguments for path in expanded(word)])
        case ["python", "app.py", *arguments]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", ["app.py", *arguments])
                app.arguments()
        case ["make", *arguments]:
            subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
        case ["pip", "install", *arguments]:
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            assert all(extra in extras for extra in re.findall(r"\[(.+?)\]", " ".join(arguments)))
        case [".venv/bin/python", "-m", "pytest", path, *options]:
            words = (ROOT / path).read_text()
            assert all(option in words for option in options if not option.startswith("-"))
        case _:
            pytest.fail(f"Nothing here runs {line!r}")


def expanded(word: str) -> list[str]:
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


def run_gradcam(arguments: list[str]) -> None:
    named = [word for word in arguments if word in gc.NETWORKS]
    if arguments[0] != "layers" and not all(map(weights_here, named)):
        cli._parser().parse_args(arguments)  # half a gigabyte of weights is not fetched for a test
    else:
        assert cli.main(arguments) == 0


def test_the_notebooks_are_without_what_a_run_left():
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text())["cells"]
        assert [cell["cell_type"] for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_the_site_is_built_and_its_notebook_runs_from_top_to_bottom():
    assert build.main() == 0
    page = (build.SITE / "tutorials" / "article.html").read_text()
    code = [text for path in NOTEBOOKS for kind, text in notebook.cells(path) if kind == "code"]
    assert page.count('<div class="language-python') == len(code)
    assert page.count("data:image/jpeg;base64,") == 3
    for name, package in (("python", gc), ("trust", gradcam_core.trust)):
        reference = (build.SITE / "reference" / f"{name}.html").read_text()
        assert [public for public in package.__all__ if f">{public}<" not in reference] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "index.html").write_text('<a href="a/b.html#here">b</a><a href="https://example.com/gone">c</a>')
    (tmp_path / "a").mkdir()
    page = tmp_path / "a" / "b.html"
    page.write_text('<h1 id="here">B</h1><a href="../">up</a>')
    assert links.broken(tmp_path) == []
    page.write_text('<a href="../c.html">c</a><img src="d.png"><script src="https://example.com/e.js"></script>')
    assert [sentence.partition(",")[0].partition(":")[0] for sentence in links.broken(tmp_path)] == [
        "a/b.html loads https",
        "a/b.html links to ../c.html",
        "a/b.html links to d.png",
        "index.html links to a/b.html#here",
    ]


def test_what_a_cell_gives_is_what_jupyter_shows():
    names = {}
    assert notebook.run("a = 2\nprint('x')\na + 1", names) == "```text\nx\n3\n```\n\n"
    assert notebook.run("b = a", names) == ""
    assert "data:image/jpeg" in notebook.run("from PIL import Image\nImage.new('RGB', (8, 8))", names)


def squeezed(sentence: str) -> str:
    """Words alone; where a sentence has a value, there is none."""
    return " ".join(re.findall(rf"[^{GAP}\W]+", sentence))


def test_every_sentence_of_an_error_is_explained_and_no_other():
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = [row for row in re.findall(r"^\| (.+?) \| .*\w.* \|$", page, re.MULTILINE) if row != "sentence"]
    explained = set(map(squeezed, rows))
    missing = {sentence: where for where, sentence in error_sentences(ROOT) if squeezed(sentence) not in explained}
    assert missing == {}, "docs/troubleshooting.md does not explain them"
    said = [squeezed(text) for text in texts(ROOT)]
    pieces = {squeezed(piece) for row in rows for piece in row.split(GAP)}
    assert {piece for piece in pieces if not any(piece in text for text in said)} == set(), "nothing says this any more"


@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_the_nginx_of_the_docs_serves_the_page(folder):
    port = free_port()
    (location,) = (block.code for page in PAGES for block in blocks(page) if block.language == "nginx")
    with serve(folder, GRADIO_ROOT_PATH="/cam") as server:
        temporary = "".join(
            f"{of}_temp_path {folder}/{of};" for of in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; user {getpass.getuser()}; pid {folder}/pid; error_log {folder}/error; events {{}}\n"
            f"http {{ access_log off; {temporary}\n"
            f"server {{ listen 127.0.0.1:{port}; {location.replace(ADDRESS, server.url)} }} }}"
        )
        nginx = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
        try:
            transport = httpx.HTTPTransport(retries=5)
            page = f"http://127.0.0.1:{port}/cam"
            assert httpx.Client(transport=transport, timeout=60).get(f"{page}/config").json()["root"] == page
            client = client_of(page + "/")
            assert client.predict(image=handle_file(folder / "photo.jpg"), top=2, api_name="/predict")
        finally:
            nginx.terminate()
            nginx.wait(20)


def test_the_readme_is_short_and_its_header_is_that_of_the_project():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    (version,) = re.findall(r"^sdk_version: (.+)$", readme, re.MULTILINE)
    assert f"gradio=={version}\n" in (ROOT / "requirements.txt").read_text()


def test_the_pages_beside_the_site_link_to_files_that_are_there():
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", page.read_text()):
            assert (ROOT / target).exists(), f"{page.name}: {target}"
            if target.endswith(".png"):
                assert cv2.imread(str(ROOT / target)) is not None


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == gc.__version__
    assert citation["cff-version"] == "1.2.0"
    assert f"## {gc.__version__}" in (ROOT / "CHANGELOG.md").read_text()
