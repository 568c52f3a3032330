"""What a study finds around it: variables of its user, an old locale, a file system without locks."""

import pytest
from harness import ROOT, Study, hashes

from geometry.machine import kernels
from geometry.storage import open_dataset

TENSOR = [[[0.5, 0.1], [0.3, 0.0]], [[0.0, 0.4], [0.2, 0.5]]]
PARAMETERS = {"transition_tensor": TENSOR, "state_names": ["Regen", "später"], "token_names": ["雨", "晴"]}
WEATHER = {"task": {"process": "custom", "parameters": PARAMETERS}}
NAMED = {"experiments": {"wetter": WEATHER}, "only": ["wetter"]}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {"numpy-1.19.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: numpy\nVersion: 1.19.5\n"},
            "numpy 1.19.5 in ",
        ),
        ({"geometry/__init__.py": ""}, "hides the package 'geometry' of "),
        ({"geometry.py": ""}, "hides the package 'geometry' of "),
    ],
)
def test_package_that_hides_one_of_the_study_is_told_while_planning(files, sentence, tmp_path):
    for name, text in files.items():
        (tmp_path / "before" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "before" / name).write_text(text, encoding="utf-8")
    result = Study(tmp_path / "study").snakemake("--dry-run", environment={"PYTHONPATH": str(tmp_path / "before")})
    said = result.stdout + result.stderr
    assert result.returncode != 0 and sentence in said and "unset PYTHONPATH" in said
    assert str(tmp_path / "before") in said and "make environment" not in said


def test_library_on_the_path_itself_is_let_pass(tmp_path):
    assert Study(tmp_path / "study").planned(environment={"PYTHONPATH": str(ROOT / "scripts")})


@pytest.mark.skipif(not kernels(), reason="the processor lacks what the common kernels need")
def test_kernels_that_the_shell_names_change_no_byte(finished, tmp_path):
    study, shell = Study(tmp_path / "study"), {"OPENBLAS_CORETYPE": "Nehalem", "NUMBA_CPU_NAME": "generic"}
    shell |= {"NUMBA_CPU_FEATURES": "+sse2", "NPY_DISABLE_CPU_FEATURES": "X86_V3", "NPY_ENABLE_CPU_FEATURES": ""}
    made = [f"results/mess3/seed_1/{name}" for name in ("model.safetensors", "probe.csv", "steering.csv")]
    study.run(*made, environment=shell)
    assert hashes(study).items() <= hashes(finished).items()


def test_names_beyond_ascii_are_recorded_and_told_in_a_locale_without_them(tmp_path):
    study, environment = Study(tmp_path / "study"), {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (task,) = (job.split("/")[2] for job in files_of(study.run("--dry-run", override=NAMED, environment=environment)))
    target = f"results/tasks/{task}/ground_truth.zarr.zip"
    study.run(target, override=NAMED, environment=environment)
    with open_dataset(study.folder / target) as truth:
        assert truth["token"].values.tolist() == ["雨", "晴"]
    said = study.run("provenance", f"--config=artefact={target}", override=NAMED, environment=environment)
    assert "wrote  " + target in said and "\\u96e8" in said
    log = (study.folder / "logs/provenance.log").read_text(encoding="utf-8")
    assert "雨" in log and "später" in log


def files_of(plan):
    """The ground truths in a plan."""
    words = plan.replace(",", " ").split()
    return {word for word in words if word.startswith("results/tasks/") and word.endswith("ground_truth.zarr.zip")}
