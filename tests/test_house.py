"""The house: floors that use only those below them, no circles, and the public names."""

import ast
from functools import cached_property
from pathlib import Path

import pytest

import gradcam_core

ROOT = Path(__file__).parents[1]
# From the ground up. Modules of one row do not use each other.
FLOORS = [
    {"gradcam_core.errors", "gradcam_core.collecting"},
    {"gradcam_core.settings", "gradcam_core.quiet"},
    {"gradcam_core.photos", "gradcam_core.pictures", "gradcam_core.capture"},
    {"gradcam_core.networks"},
    {"gradcam_core.maps"},
    {"gradcam_core.trust"},
    {"gradcam_core.faithfulness", "gradcam_core.audits"},
    {"gradcam_core"},
    {"gradcam_core.cli", "ui"},
    {"gradcam_core.__main__", "app"},
]
PUBLIC = {
    "COLORMAPS", "FUSIONS", "METHODS", "NETWORKS", "SMOOTHINGS", "Audit", "Box", "Classifier", "Explanation",
    "GradcamError", "HeatMap", "Label", "Layer", "LayerError", "NetworkError", "PhotoError", "Prediction",
    "SettingError", "TargetError", "WeightsError", "WriteError", "audit", "colorize", "contact_sheet", "explain",
    "explain_classes", "load", "overlay", "read_image", "select", "summary", "summary_table",
}  # fmt: skip


def modules(root: Path) -> dict[str, Path]:
    """Every module of the project by its name."""
    paths = [root / "app.py", *(root / "gradcam_core").rglob("*.py"), *(root / "ui").rglob("*.py")]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the project that a module imports, anywhere in it: in functions and for type checkers too."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            start = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {one for one in inner if one in known} | ({base} if not inner <= set(known) else set())
    return {one for one in found if one in known}


def uses(root: Path = ROOT) -> dict[str, set[str]]:
    known = modules(root)
    return {name: imported(name, path, known) - {name} for name, path in known.items()}


def floor(name: str) -> int:
    """The floor of a module, counted from the ground."""
    return next(level for level, row in enumerate(FLOORS) if home(name) in row)


def home(name: str) -> str:
    """The longest name in FLOORS that a module is, or lies in."""
    return max((home for row in FLOORS for home in row if f"{name}.".startswith(f"{home}.")), key=len)


def wrong_arrows(graph: dict[str, set[str]]) -> set[tuple[str, str]]:
    """(a module, one it uses) where the second lies on no lower floor, and is not in the same home."""
    return {(a, b) for a, used in graph.items() for b in used if home(a) != home(b) and floor(b) >= floor(a)}


def circles(graph: dict[str, set[str]]) -> set[str]:
    """The modules from which an arrow leads back to them; a package's ``__init__`` is no more than its content."""
    graph = {name: {one for one in used if not name.startswith(f"{one}.")} for name, used in graph.items()}

    def reached(start: str) -> set[str]:
        found, new = set(), set(graph[start])
        while new:
            found |= new
            new = set().union(*(graph[one] for one in new)) - found
        return found

    return {name for name in graph if name in reached(name)}


def test_every_floor_uses_only_those_below_it():
    assert wrong_arrows(uses()) == set()


def test_no_module_is_reached_from_itself():
    assert circles(uses()) == set()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("gradcam_core/photos/limits.py", "from ..maps import explain"),
        ("gradcam_core/networks/zoo.py", "if TYPE_CHECKING:\n    from ..maps.explanation import HeatMap"),
        ("gradcam_core/pictures/render.py", "def late():\n    import gradcam_core.capture.recording"),
        ("gradcam_core/maps/explain.py", "from ui.cache import keep"),
        ("gradcam_core/trust/sanity.py", "from .. import read_image"),
    ],
)
def test_an_arrow_upwards_is_seen_wherever_it_stands(tmp_path, path, line):
    for name in ("gradcam_core", "ui"):
        for source in (ROOT / name).rglob("*.py"):
            copy = tmp_path / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.read_text())
    (tmp_path / "app.py").write_text((ROOT / "app.py").read_text())
    (tmp_path / path).write_text((tmp_path / path).read_text() + f"\n\n{line}\n")
    assert len(wrong_arrows(uses(tmp_path))) == 1


def test_a_circle_within_a_floor_is_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {"a", "b", "c"}
    assert circles({"p": {"p.a"}, "p.a": {"p"}}) == set()  # a module may import from its own package's content


def unexplained(source: str) -> list[int]:
    """The lines that put an error into other words and do not say ``from`` which one."""
    handlers = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler)]
    raised = [node for handler in handlers for node in ast.walk(handler) if isinstance(node, ast.Raise) and node.exc]
    return [node.lineno for node in raised if node.cause is None or isinstance(node.cause, ast.Constant)]


def test_an_error_in_other_words_keeps_the_one_that_was_its_cause():
    for path in modules(ROOT).values():
        assert unexplained(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize("cause", ["", " from None"])
def test_an_error_that_hides_its_cause_is_seen(cause):
    source = f"try:\n    work()\nexcept OSError as error:\n    raise ValueError(str(error)){cause}\n"
    assert unexplained(source) == [4]
    assert unexplained(source.replace(f"(str(error)){cause}", "(str(error)) from error")) == []


def test_the_public_names_stay():
    assert set(gradcam_core.__all__) == PUBLIC
    assert all(getattr(gradcam_core, name) is not None for name in PUBLIC)


def test_every_public_name_says_what_it_is_for():
    import gradcam_core.trust as trust

    for package in (gradcam_core, trust):
        things = {name: getattr(package, name) for name in package.__all__ if callable(getattr(package, name))}
        for name, thing in list(things.items()):
            members = vars(thing) if isinstance(thing, type) else {}
            things |= {
                f"{name}.{member}": inner
                for member, inner in members.items()
                if not member.startswith("_") and (callable(inner) or isinstance(inner, property | cached_property))
            }
        for name, thing in things.items():
            written = thing.__doc__ or ""
            assert written.strip(), name
            assert not written.startswith(f"{name}("), f"{name}: this is what dataclass writes"


def test_a_file_is_not_longer_than_a_reader_can_hold_unless_its_head_says_why():
    folders = ("gradcam_core", "ui", "assets", "tests", "benchmarks", "website")
    paths = [
        path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.suffix in (".py", ".js", ".css")
    ]
    for path in [ROOT / "app.py", *paths]:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 350 or "long because" in "\n".join(lines[:20]), path
