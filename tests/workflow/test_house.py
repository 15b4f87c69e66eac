"""The house rules of docs/decisions/0001, read from the code itself."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scripts" / "consilience"
FLOORS = [
    "foundation", "study", "downloads", "sources", "expression", "pathways", "measures", "learning", "rnagan", "augment", "perturb",
    "causal", "simulate", "report", "inspection", "prefetch", "preflight", "commands",
    "cli",
]  # fmt: skip
HEAVY = {
    "torch",
    "scanpy",
    "anndata",
    "pandas",
    "scipy",
    "sklearn",
    "plotly",
    "numba",
    "statsmodels",
    "gseapy",
}
MODULES = sorted(LIBRARY.rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
RULES = sorted((ROOT / "rules").glob("*.smk"))


def name_of(path):
    return path.relative_to(LIBRARY).as_posix()


def room_of(path):
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_floors_go_one_way(path):
    room = room_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert not name.startswith("snakemake"), "the library knows nothing of Snakemake"
            if name.startswith("consilience.") and room in FLOORS:
                other = name.split(".")[1]
                assert FLOORS.index(other) <= FLOORS.index(room), (
                    f"{path.name}:{node.lineno} goes up to {other}"
                )


def test_every_room_is_on_a_floor():
    assert {room_of(path) for path in MODULES} - {"__init__"} <= set(FLOORS)


# what a module may import at its top because it is about it; it is itself imported inside functions
ABOUT = {"kernels": {"numba"}} | {
    name: {"torch"} for name in ("layer", "products", "gradients", "network", "losses")
}


def about(path):
    return ABOUT.get(path.stem.split("_")[-1], set())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_heavy_is_imported_at_the_top(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not {name.split(".")[0] for name in names} & (HEAVY - about(path)), f"line {node.lineno}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_thin_and_named_after_their_rule(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
    rules = "\n".join(rule.read_text(encoding="utf-8") for rule in RULES)
    assert re.search(rf"^rule {path.stem}:", rules, re.MULTILINE)
    assert f'"../scripts/{path.name}"' in rules


def rules_of(path):
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^rule (\w+):\n((?:[ ]{4}.*\n|\n)+)", text, re.MULTILINE)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rule_files_open_with_what_they_need_and_make(path):
    doc = path.read_text(encoding="utf-8").split('"""')[1]
    assert "REQUIRES" in doc
    assert "MAKES" in doc


@pytest.mark.parametrize(
    ("name", "body"), [rule for path in RULES for rule in rules_of(path)], ids=lambda value: value[:30]
)
def test_every_rule_declares_everything(name, body):
    needed = ["input", "output", "params", "log", "conda", "container", "threads", "resources", "script"]
    for directive in needed + ([] if name == "report" else ["benchmark"]):
        assert re.search(rf"^    {directive}:", body, re.MULTILINE), f"{name} has no {directive}"
    for resource in ("mem_mb=more_memory(", "runtime="):
        assert resource in body
    assert re.search(r"code=code\(", body)


def test_placeholders_in_shell_are_quoted():
    for path in [ROOT / "Snakefile", *RULES]:
        for block in re.findall(r'shell:\s*"""?(.*?)"""?', path.read_text(encoding="utf-8"), re.DOTALL):
            assert not [hit for hit in re.findall(r"(?<!\{)\{([^{}]+)\}", block) if not hit.endswith(":q")]


def test_the_front_door_is_short():
    assert len((ROOT / "Snakefile").read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("path", [*MODULES, *SCRIPTS], ids=lambda path: path.name)
def test_no_dangerous_habits(path):
    text = path.read_text(encoding="utf-8")
    habits = r"pickle\.load|weights_only=False|yaml\.load\(|(?<!\.)\beval\(|np\.random\.(seed|rand|normal|choice)\("
    assert not re.search(habits, text)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_stay_one_idea(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            doc = ast.get_docstring(node, clean=False) or ""
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - doc.count("\n")
            assert length <= 70, f"{node.name} has {length} lines"
