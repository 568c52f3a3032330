"""Which sub-package may import which, and what stays free of torch and of matplotlib."""

import ast
import importlib
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from geometry.config.gathered import source_files
from geometry.modular_circuit.fourier import participation_ratio
from geometry.probing.cloud_shape import affine_dimension
from geometry.provenance.code_digest import imports, local_files, reachable_files, third_party_imports

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
LIBRARY = SCRIPTS / "geometry"
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py")

THEORY = {"processes", "tasks"}
MAY_IMPORT = {
    "files": set(),
    "storage": {"files"},
    "machine": set(),
    "tables": {"files"},
    "schemas": {"tables"},
    "processes": set(),
    "tasks": {"processes"},
    "networks": THEORY | {"machine"},
    "training": THEORY | {"networks", "files"},
    "probing": THEORY | {"networks", "tables"},
    "interventions": THEORY | {"networks", "probing"},
    "recovery": THEORY | {"probing", "tables"},
    "modular_circuit": THEORY | {"networks", "probing", "recovery", "tables"},
    "claims": {"networks", "probing", "recovery", "modular_circuit", "tables"},
    "explorer": THEORY | {"networks", "probing", "interventions", "modular_circuit", "claims", "tables"},
    "figures": {"files"},
    "provenance": {"files", "machine"},
    "config": THEORY | {"networks", "probing", "interventions", "recovery", "provenance", "tables", "schemas"},
}
"""By sub-package or module on its own: what it may import besides itself."""

WITH_TORCH = {"networks", "training", "interventions", "modular_circuit"}


def room(path):
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def modules_of(path):
    return [file for name in imports(path) for file in local_files(name, SCRIPTS) if file.name != "__init__.py"]


def importing(package, files):
    return [path.relative_to(SCRIPTS).as_posix() for path in files if package in third_party_imports(path, SCRIPTS)]


def test_all_modules_are_looked_at():
    assert len(MODULES) > 70 and {room(path) for path in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_module_imports_only_what_its_layer_allows(path):
    others = {room(file) for file in modules_of(path)} - {room(path)}
    assert others <= MAY_IMPORT[room(path)]


def test_no_modules_import_one_another_in_a_circle():
    TopologicalSorter({path: modules_of(path) for path in MODULES}).prepare()


def test_sub_packages_are_layers_without_a_circle():
    TopologicalSorter(MAY_IMPORT).prepare()


def test_theory_probing_and_statistics_need_neither_torch_nor_matplotlib():
    assert not importing("torch", [path for path in MODULES if room(path) not in WITH_TORCH])
    assert not importing("matplotlib", [path for path in MODULES if room(path) != "figures"])


def loaded(imports, packages):
    """Those of some packages that are loaded after some lines of imports."""
    code = "\n".join([*imports, "import sys", f"print(*sorted({packages!r} & sys.modules.keys()))"])
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, check=True, encoding="utf-8")
    return set(done.stdout.split())


def test_planning_loads_no_package_for_arrays_networks_or_figures():
    """Every start of Snakemake, and of each job, waits for what rules/common.smk imports."""
    lines = re.findall(r"^from geometry\..*", (ROOT / "rules/common.smk").read_text(encoding="utf-8"), re.M)
    assert len(lines) > 3 and not loaded(lines, {"torch", "matplotlib", "zarr", "scipy"})


def test_job_on_tables_loads_no_package_for_arrays():
    """Most jobs read and write tables alone, and take less time than the import of such a package."""
    lines = ["import geometry.provenance.job", "import geometry.tables"]
    assert not loaded(lines, {"xarray", "zarr", "scipy"}) and loaded(lines, {"pandas"})


def test_task_of_a_hidden_markov_model_needs_no_scipy():
    """Unless its process is a generalized one."""
    lines = ["from geometry.tasks.task import process_of", "process_of({'process': 'z1r', 'context': 3})"]
    generalized = [lines[0], lines[1].replace("z1r", "moon")]
    assert not loaded(lines, {"scipy"}) and loaded(generalized, {"scipy"})


def test_every_sub_package_says_what_lives_in_it():
    for folder in {path.parent for path in MODULES}:
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""') and text.rstrip().endswith('"""') and text.count('"""') == 2


def test_shapes_are_checked_in_every_sub_package():
    """Checks that cover no module would pass: a wrong shape must be refused where the library is deepest."""
    with pytest.raises(TypeCheckError):
        affine_dimension(np.zeros(3))
    with pytest.raises(TypeCheckError):
        participation_ratio(np.zeros((2, 2)))


def test_digest_of_a_script_counts_the_modules_and_the_docstrings_of_sub_packages():
    reached = {path.relative_to(SCRIPTS).as_posix() for path in reachable_files(SCRIPTS / "train_model.py", SCRIPTS)}
    assert {"geometry/__init__.py", "geometry/networks/__init__.py", "geometry/networks/transformer.py"} <= reached
    assert "geometry/provenance/job.py" in reached and len(reached) > 30


def test_research_object_has_what_is_no_python():
    names = source_files(ROOT)
    assert {"scripts/geometry/figures/study.mplstyle", "scripts/geometry/provenance/page.html"} <= set(names)
    assert {"scripts/train_model.py", "scripts/geometry/processes/process.py", "rules/theory.smk"} <= set(names)


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_benchmark_imports_what_the_library_has(path):
    """Nothing else runs them."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("geometry."):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
