"""Runs of several networks: their names, their seeds, their snapshots and their files."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geometry.config.seeds import all_seeds, run_name, seeds_of
from geometry.networks.snapshots import by_network, by_prefix, ends_of_each, first_network, last_of_each, named_by_seed
from geometry.tables import by_seed, of_first_seed

SEEDS = np.array([3, 3, 3, 7, 8, 8])


@pytest.mark.parametrize(("entry", "name", "seeds"), [(3, "seed_3", [3]), ("1-4", "seeds_1-4", [1, 2, 3, 4])])
def test_name_of_a_run_states_its_seeds(entry, name, seeds):
    assert run_name(entry) == name
    assert seeds_of(entry) == seeds_of(name) == seeds


def test_runs_that_are_named_after_no_seed_have_none():
    assert seeds_of("random_init") == seeds_of("pretrained") == []
    assert all_seeds([5, "1-3"]) == [5, 1, 2, 3]


def test_snapshots_belong_to_their_network():
    assert [(seed, own.tolist()) for seed, own in by_network(SEEDS)] == [(3, [0, 1, 2]), (7, [3]), (8, [4, 5])]
    assert last_of_each(SEEDS) == [2, 3, 5] and ends_of_each(SEEDS) == [0, 2, 3, 4, 5]
    dataset = xr.Dataset({"x": ("snapshot", np.arange(6))}, coords={"seed": ("snapshot", SEEDS)})
    assert first_network(dataset)["x"].values.tolist() == [0, 1, 2]


def test_names_of_weights_have_the_seed_where_there_are_several_networks():
    one, other = {"embed.W_E": np.zeros(2)}, {"embed.W_E": np.ones(2)}
    assert list(named_by_seed({4: one})) == ["embed.W_E"]
    both = named_by_seed({4: one, 12: other})
    assert list(both) == ["seed_4.embed.W_E", "seed_12.embed.W_E"]
    assert {prefix: list(found) for prefix, found in by_prefix(both).items()} == {
        "seed_4.": ["embed.W_E"],
        "seed_12.": ["embed.W_E"],
    }
    assert by_prefix(one) == {"": one}


def test_tables_are_parted_by_seed(tmp_path):
    paths = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    for path, seeds in zip(paths, ([2, 2, 1], [9]), strict=True):
        pd.DataFrame({"seed": seeds, "value": 0.5}).to_csv(path, index=False)
    assert [(own["seed"].iloc[0], len(own)) for own in by_seed(paths)] == [(2, 2), (1, 1), (9, 1)]
    assert by_seed([]) == []
    assert len(of_first_seed(pd.read_csv(paths[0]))) == 2
