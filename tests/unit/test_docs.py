"""README and docs: short enough, in the words of the glossary, true of commands, links, files, keys and examples."""

import re
import runpy
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from snakemake.cli import parse_args

from configuration import ROOT, SCHEMA, content_of, resolve
from geometry.claims.outcomes import full_names
from geometry.claims.replication import read_claims
from geometry.storage import write_dataset

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CAPTIONS = sorted((ROOT / "rules/captions").glob("*.rst"))
RULES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    if path.name not in {"common.smk", "wildcards.smk"}  # which have no rule
)
QUOTE = runpy.run_path(str(ROOT / "docs/quote_findings.py"))
EARLIER = "## Words of earlier versions"
"""Above the table of the glossary that has the old words."""


def text_of(path):
    return path.read_text(encoding="utf-8")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def code_blocks(text):
    """What stands in fences, or indented by four spaces behind an empty line."""
    yield from re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    unfenced = re.sub(r"(?ms)^```.*?^```", "", text)
    for block in re.findall(r"(?m)(?:(?<=\n\n)|\A)((?:^    .*\n|^\n(?=    ))+)", unfenced):
        yield re.sub(r"(?m)^    ", "", block)


def commands(text):
    """Lines of code, and code in a sentence, that call Snakemake or make."""
    code = [line for block in code_blocks(text) for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)
    return [line for line in code if re.match(r"(\w+=\S+ )*((\.venv/bin/)?snakemake|make)( |$)", line)]


ALL_COMMANDS = sorted({command for page in PAGES for command in commands(text_of(page))})
WITH_SNAKEMAKE = [command for command in ALL_COMMANDS if not command.startswith("make")]
WITH_MAKE = [command for command in ALL_COMMANDS if command.startswith("make")]


def test_readme_is_read_in_two_minutes():
    assert len(text_of(PAGES[0]).splitlines()) <= 150 and len(PAGES[0].read_bytes()) <= 12_000


def test_changes_begin_with_the_version_that_is_cited_or_with_what_is_not_released():
    cited = content_of("CITATION.cff")
    first = re.search(r"(?m)^## (.*)$", text_of(ROOT / "CHANGELOG.md"))[1]
    assert first in (f"{cited['version']} ({cited['date-released']})", "Unreleased")


def test_commands_are_found_in_blocks_and_sentences():
    text = "Call `make test`:\n\n    A=1 .venv/bin/snakemake -n  # why\n\n```\nmake docs\n```\nnot `maker`, `x.make`\n"
    assert commands(text) == ["make docs", "A=1 .venv/bin/snakemake -n  # why", "make test"]
    assert len(WITH_SNAKEMAKE) > 25 and {"make study", "make test"} <= {line.split("  ")[0] for line in WITH_MAKE}


def outputs():
    """The results that rules write, as patterns in which any name stands for a wildcard."""
    found = re.findall(r'f?"(results/(?!provenance/)[^"\n]+)"', RULES)
    for path in found:
        literal = path.replace("{{", "{").replace("}}", "}").replace("{STUDY}", "").replace("{FORMAT}", "png")
        yield re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(literal))


def is_target(name):
    if name.startswith("results/"):
        return any(re.fullmatch(pattern, name) for pattern in outputs())
    return re.search(rf"(?m)^ *rule {re.escape(name)}:", RULES) is not None


@pytest.mark.parametrize("command", WITH_SNAKEMAKE)
def test_snakemake_understands_the_command_and_finds_what_it_names(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(command, comments=True)
    words = words[next(place for place, word in enumerate(words) if word.endswith("snakemake")) + 1 :]
    _, args = parse_args(["local" if word == "kubernetes" else word for word in words])  # whose plugin is not pinned
    assert all(Path(path).is_file() for path in [*args.configfile, *filter(None, [args.snakefile])])
    assert all(Path(profile, "profile.yaml").is_file() for profile in args.profile or [])
    assert all(map(is_target, args.targets))
    assert {setting.split("=")[0] for setting in args.config or []} <= {*SCHEMA["properties"], "artefact", "reference"}


def experiments_of(args):
    """The experiments of the study that a command runs."""
    return set(resolve(*map(content_of, args.configfile)))


def are_of_the_study(command):
    """True if every file of a network that the command names is of an experiment that its study runs."""
    words = shlex.split(command, comments=True)
    _, args = parse_args(words[words.index(".venv/bin/snakemake") + 1 :])
    names = [re.match(r"results/([^/]+)/(?:seeds?_|random_init/|pretrained/)", target) for target in args.targets]
    return {name[1] for name in names if name} <= experiments_of(args)


@pytest.mark.parametrize("command", [command for command in WITH_SNAKEMAKE if "snakemake results/" in command])
def test_file_of_a_command_is_of_an_experiment_of_its_study(command):
    assert are_of_the_study(command)


def test_file_of_an_experiment_that_the_study_leaves_out_is_noticed():
    command = ".venv/bin/snakemake results/modular_addition/seed_1/model.safetensors"
    assert are_of_the_study(command)
    assert not are_of_the_study(f"{command} --configfile studies/modular_addition.yaml")


def test_target_that_no_rule_makes_is_noticed():
    assert is_target("results/mess3/seed_1/probe.csv") and not is_target("results/mess3/seed_1/prob.csv")
    assert is_target("audit") and not is_target("audits")


@pytest.mark.parametrize("command", WITH_MAKE)
def test_make_has_the_target(command):
    targets = shlex.split(command, comments=True)[1:]
    assert all(re.search(rf"(?m)^{target}:", text_of(ROOT / "Makefile")) for target in targets)
    assert subprocess.run(["make", "-n", *targets], cwd=ROOT, capture_output=True, check=False).returncode == 0


def anchors(path):
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"(?m)^#+ (.*)", re.sub(r"(?ms)^```.*?^```", "", text_of(path)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)) if not re.match(r"https?://", link)]
    for path, _, anchor in (link.partition("#") for link in links):
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"
        assert page == PAGES[0] or target.is_relative_to(ROOT / "docs"), f"{path} is no part of the site"


def test_published_numbers_are_quoted_with_their_verdicts_and_sources():
    row = dict.fromkeys(("ci_low", "ci_high", "held_out", "baseline", "tolerance"), "nan")
    row |= {"id": "B1", "quantity": "R2", "source": "someone", "protocol": "in sample", "n_networks": "5"}
    row |= {"published_low": "0.9", "published_high": "0.95", "ours": "0.91234", "baseline_name": "", "reason": ""}
    row["verdict"] = "reproduced"
    other = {**row, "id": "B2", "published_high": "0.9", "reason": "no file"}
    other |= {"baseline": "0.5", "baseline_name": "tokens"}
    numbers, sources = QUOTE["tables_of_published"]([row, other])
    assert numbers[1] == ["B1", "R2", "0.9 to 0.95", "0.9123", "", "", "", "reproduced"]
    assert numbers[2] == ["B2", "R2", "0.9", "0.9123", "", "", "0.5 (tokens)", "reproduced: no file"]
    assert sources[1] == ["B1", "someone", "in sample", "", "5"]
    page = text_of(ROOT / "docs/published.md")
    assert "| B1 | R2 |" in QUOTE["quoted"](page, [numbers, sources], "page", "published")


def test_every_page_is_in_the_readme_and_in_the_navigation_and_opens_with_its_question():
    def leaves(entry):
        values = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else []
        return {entry} if isinstance(entry, str) else set().union(*map(leaves, values))

    pages = {page.name for page in PAGES[1:]}
    assert leaves(content_of("mkdocs.yml")["nav"]) == pages
    assert set(re.findall(r"\(docs/(\w+\.md)\)", text_of(PAGES[0]))) == pages - {"index.md"}
    for page in PAGES[1:]:
        paragraph = text_of(page).split("\n\n")[1]
        assert re.fullmatch(r"(?s)This (page|site) answers: [^.]*\?", paragraph), page.name


def test_one_line_opens_an_archive(tmp_path):
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", text_of(ROOT / "docs/files.md"))
    (line,) = (block for block in blocks if "open_zarr" in block)
    assert line.count("\n") == 1
    written = xr.Dataset({"value": ("row", np.arange(3.0))}, coords={"name": ("row", ["a", "b", "c"])})
    write_dataset(written, tmp_path / "tiny.zarr.zip")
    names = {"path": tmp_path / "tiny.zarr.zip"}
    exec(f"import xarray, zarr\n{line}", names)
    assert names["data"].load().equals(written)


OLD_WORDS = r"""floors? | floor_name | rivals? | wrong\ targets? | (un)?told | cannot\ be\ told | untrained | foreign
    | twins? | invisible | invisible_belief_state | effective[ _]memory | all\ words\ alike | tables?\ of\ the\ last
    | last_(\{?k\}?|\d)_tokens | residual_streams | joined | hand(s|ed)?\ on | re-?cut | transplant\w* | translations?
    | possible_words | token_frequencies | sampled_tokens | other_parameters | labels:\ tree | examinations?
    | knows | sober | honest(ly)?"""
OLD = re.compile(rf"(?ix)\b({OLD_WORDS})\b")


@pytest.mark.parametrize("page", [*PAGES, *CAPTIONS], ids=name_of)
def test_words_are_those_of_the_glossary(page):
    text = " ".join(text_of(page).split(EARLIER)[0].split())
    assert not [match[0] for match in OLD.finditer(text)]


def test_old_words_are_noticed():
    table = text_of(ROOT / "docs/glossary.md").split(EARLIER)[1]
    assert len({match[0].lower() for match in OLD.finditer(table)}) > 15


def test_glossary_defines_each_term_once():
    rows = re.findall(r"(?m)^\| (?!---|Term |Earlier )(.*) \|$", text_of(ROOT / "docs/glossary.md"))
    rows = [re.split(r"\s*\|\s*", row) for row in rows]
    terms = [row[0] for row in rows if len(row) == 4]
    assert len(terms) == len(set(terms)) > 70
    assert all(len(row) == 2 or re.search(r"[\w)`]\.", row[2]) for row in rows)


def test_every_result_and_its_rule_are_in_the_page_of_files():
    text = text_of(ROOT / "docs/files.md")
    names = {path.split("/")[-1] for path in re.findall(r'f?"(results/(?!figures|provenance)[^"\n]+)"', RULES)}
    names = {name.replace("{{", "{").replace("}}", "}").replace("{STUDY}", "") for name in names}
    written = {name for name in names if name.endswith((".csv", ".zip", ".safetensors", ".html", ".md"))}
    assert len(written) > 25 and not {name for name in written if name not in text}
    tables = text.split("## Of the study")[1].split("## Tables")[0]
    cells = [row.split(" | ")[2] for row in re.findall(r"(?m)^\| (`.*) \|$", tables)]
    rules = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert len(rules) > 20 and not {name for name in rules if not is_target(name)}


def keys_of(section, within=()):
    """The keys of a section and of those in it; parameters of processes have such parameters again."""
    found = section.get("properties", {}) if not any(section is outer for outer in within) else {}
    parts = [keys_of(part, (*within, section)) for part in found.values()]
    return {**found, **{name: value for part in parts for name, value in part.items()}}


@pytest.mark.parametrize("page", [*PAGES, *CAPTIONS], ids=name_of)
def test_keys_of_the_configuration_exist(page):
    sections = {**SCHEMA["properties"], **SCHEMA["$defs"]["experiment"]["properties"]}
    for section, key in re.findall(r"`(\w+)\.(\w+)[`:]", text_of(page).split(EARLIER)[0]):
        if section in sections and key not in {"csv", "png", "safetensors", "zarr"}:
            assert key in keys_of(sections[section]), f"{section}.{key}"


STUDIES = [
    (page, block)
    for page in (ROOT / "README.md", ROOT / "docs/extending.md", ROOT / "docs/processes.md")
    for block in code_blocks(text_of(page))
    if re.match(r"(#.*\n)?(study|experiments):", block)
]


@pytest.mark.parametrize("page, block", STUDIES, ids=[f"{page.stem}-{n}" for n, (page, _) in enumerate(STUDIES)])
def test_example_of_a_study_is_one(page, block, monkeypatch):
    monkeypatch.chdir(ROOT)
    example = yaml.safe_load(block.replace("path/to/network", "tests/data/mess3"))
    assert set(example["experiments"]) <= set(resolve(example))


def test_examples_of_studies_are_found():
    assert [page.stem for page, _ in STUDIES] == ["README"] * 3 + ["extending"] * 6 + ["processes"] * 6


FINDINGS = """Introduction.

| Claim | mess3 | other | rrxor | z1r |
| --- | --- | --- | --- | --- |
| one | supported: 1.000 over 0.000 | a | b | c |
| of the other alone |  | a |  |  |

| Claim | sums |
| --- | --- |
| two | d |

## mess3

| not | quoted |
"""


def test_quoted_findings_are_three_columns_or_all_tables():
    first, second = QUOTE["tables_of"](FINDINGS)
    chosen = [["Claim", "mess3", "z1r"], ["one", "supported: 1.000 over 0.000", "c"]]
    assert QUOTE["columns"](first, ["mess3", "z1r"]) == chosen
    text = QUOTE["quoted"]("a\n<!-- findings -->\nold\n<!-- end -->\nb", [first, second], "page")
    tables = FINDINGS[FINDINGS.index("|") : FINDINGS.index("\n## ")]
    assert text == f"a\n<!-- findings -->\n{tables}<!-- end -->\nb"


def test_readme_and_results_quote_the_published_claims():
    claims = read_claims(ROOT / "docs/claims.csv")
    assert not claims.assign(name=full_names(claims)).duplicated(["experiment", "name"]).any()
    rows = zip(claims.itertuples(), full_names(claims), strict=True)
    published = {(row.experiment, name): (row.verdict, f"{row.estimate:.3f}") for row, name in rows}
    for page, n_quoted in ((ROOT / "README.md", 40), (ROOT / "docs/results.md", len(claims))):
        quoted = {}
        for header, *rows in QUOTE["tables_of"](text_of(page).split("<!-- findings -->\n")[1].split("<!-- end -->")[0]):
            for name, *cells in rows:
                for experiment, cell in zip(header[1:], cells, strict=True):
                    if found := re.search(r"([a-z ]+): (\S+) over", cell):
                        quoted[experiment, name] = found.groups()
        assert len(quoted) >= n_quoted and quoted.items() <= published.items()


def test_findings_of_another_study_or_a_page_without_marks_are_refused():
    with pytest.raises(SystemExit, match="has no column z1r"):
        QUOTE["columns"]([["Claim", "mess3"]], ["mess3", "z1r"])
    with pytest.raises(SystemExit, match="page has 0 places"):
        QUOTE["quoted"]("text", [], "page")


def test_readme_and_results_quote_the_same_table():
    def table(page):
        return QUOTE["tables_of"](text_of(page).split("<!-- findings -->\n")[1].split("<!-- end -->")[0])

    (short,), (whole, *_) = table(ROOT / "README.md"), table(ROOT / "docs/results.md")
    assert short == QUOTE["columns"](whole, QUOTE["IN_README"])
