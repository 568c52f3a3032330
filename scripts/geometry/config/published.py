"""The section `published` of a study: numbers of the literature, and which numbers of the study stand beside them.

A row's `ours` selects one number for each network; `held_out` and `baselines` are laid over it, key by key.
"""

from collections.abc import Collection, Iterable, Mapping

from geometry.config.checks import ConfigError
from geometry.config.experiments import merged
from geometry.schemas.page import schemas
from geometry.tables import columns_of

MADE_BY = {
    "probe.csv": "probe_beliefs",
    "loss.csv": "measure_loss",
    "training.csv": "train_model",
    "distances.csv": "measure_distances",
    "steering.csv": "steer_network",
    "recovery.csv": "score_recovery",
    "symmetry.csv": "find_symmetries",
    "dimension.csv": "measure_dimension",
    "convergence.csv": "measure_convergence",
    "subspaces.csv": "measure_subspaces",
    "attention.csv": "measure_attention",
    "circuit.csv": "measure_circuit",
    "bases.csv": "compare_bases",
    "shift_symmetry.csv": "find_shift_symmetry",
    "surgery.csv": "measure_surgery",
}
"""The rule of each table of a run."""

BASELINES, OF_RANDOM = "baselines.csv", "random_init/"
"""The table that all networks of an experiment share; what precedes the name of a table of the random networks."""


def tables_of(experiment: str, records: Iterable[str]) -> dict[str, list[str]]:
    """The files of each table of an experiment, by the name that a row gives it; `records` are run/rule of its jobs."""
    found = {BASELINES: [f"results/{experiment}/{BASELINES}"]}
    jobs = [record.split("/") for record in records]
    for file, rule in MADE_BY.items():
        for run in (run for run, of in jobs if of == rule):
            name = f"{OF_RANDOM}{file}" if run == OF_RANDOM[:-1] else file
            found.setdefault(name, []).append(f"results/{experiment}/{run}/{file}")
    return found


def columns() -> dict[str, list[str]]:
    """The columns of each table of an experiment, by its file's name."""
    paths = {one: one.path.split(", ") for one in schemas() if "{experiment}/" in one.path}
    return {path.rsplit("/", 1)[-1]: list(columns_of(one)) for one, names in paths.items() for path in names}


def selectors_of(row: Mapping) -> dict[str, Mapping]:
    """The selectors of a row by their place in it, whole; none of a row without `ours`."""
    if "ours" not in row:
        return {}
    others = {f"baselines.{name}": own for name, own in row.get("baselines", {}).items()}
    others |= {"held_out": row["held_out"]} if "held_out" in row else {}
    return {"ours": row["ours"]} | {key: merged(row["ours"], own) for key, own in others.items()}


def experiments_of(selector: Mapping) -> list[str]:
    """The experiments that a selector names: one, or several in the order in which they are tried."""
    return selector.get("fewest_of") or [selector.get("experiment", "")]


def check_row(row: Mapping, where: str) -> None:
    """Raise a row that cannot be judged; the message is one sentence."""
    published, is_judged = row["published"], "not_comparable" not in row
    if isinstance(published, list) and not (len(published) == 2 and published[0] <= published[1]):
        raise ConfigError(f"{where}.published is {published}; a range is [low, high]")
    if is_judged and published is None:
        raise ConfigError(f"{where}.published is null, which needs not_comparable, the reason")
    for key in ("ours", "tolerance"):
        if is_judged and key not in row:
            raise ConfigError(f"key {key!r} is missing at {where}, which has no not_comparable either")


def check_selector(selector: Mapping, tables: Mapping[str, Mapping], where: str) -> None:
    """Raise a selector of an experiment, a table or a column that is not there."""
    if ("experiment" in selector) == ("fewest_of" in selector):
        raise ConfigError(f"{where} must have one of experiment and fewest_of")
    file = selector["file"]
    for name in experiments_of(selector):
        if name not in tables:
            raise ConfigError(f"{where} names the experiment {name!r}; allowed are {', '.join(tables)}")
        if file not in tables[name]:
            raise ConfigError(f"{where}.file is {file!r}; of experiment {name!r} allowed are {', '.join(tables[name])}")
    known = columns()[file.removeprefix(OF_RANDOM)]
    others = (name for key in ("where", "mean_over", "reaching") for name in selector.get(key, []))
    for column in (selector["column"], *others):
        if column not in known:
            raise ConfigError(f"{where} names the column {column!r}; {file} has {', '.join(known)}")


def published_rows(
    section: Mapping, tables: Mapping[str, Mapping[str, list[str]]], left_out: Collection[str]
) -> dict[str, dict]:
    """The rows of the section by their id, each with its whole `selectors`, which have the `tables` that they read.

    `tables` has the files of each experiment, as from `tables_of`. Rows on experiments that are `left_out` of this run
    are left out too. Raises `ConfigError`.
    """
    rows = {}
    for name, row in section.items():
        where, selectors = f"config: published.{name}", selectors_of(row)
        check_row(row, where)
        if any(one in left_out for selector in selectors.values() for one in experiments_of(selector)):
            continue
        for key, selector in selectors.items():
            check_selector(selector, tables, f"{where}.{key}")
            files = [tables[one][selector["file"]] for one in experiments_of(selector)]
            selectors[key] = {**selector, "tables": files}
        rows[name] = {**row, "selectors": selectors}
    return rows


def files_of(rows: Mapping[str, Mapping]) -> list[str]:
    """Every file that some rows read."""
    selectors = (selector for row in rows.values() for selector in row["selectors"].values())
    return sorted({path for selector in selectors for paths in selector["tables"] for path in paths})
