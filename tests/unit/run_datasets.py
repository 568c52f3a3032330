"""Archives of a run, as its jobs store them."""

import xarray as xr


def snapshots(*steps, seeds=None):
    """The coordinates of a run's snapshots, by default of one network; step 0 is before training."""
    origins = ["trained" if step else "random_init" for step in steps]
    axis = {"step": list(steps), "seed": seeds or [1] * len(steps), "origin": origins}
    return {name: ("snapshot", values) for name, values in axis.items()}


def activations_dataset(activation, log_probability, sites, steps=(0, 9)):
    """Activations by snapshot, site, prefix and feature, and log-probabilities by snapshot, prefix and token."""
    variables = {
        "activation": (("snapshot", "site", "prefix", "feature"), activation),
        "log_probability": (("snapshot", "prefix", "token"), log_probability),
    }
    return xr.Dataset(variables, snapshots(*steps) | {"site": sites})


def decoded_dataset(belief, sites, splits=("held_out_prefix", "in_sample"), steps=(0, 9), seeds=None):
    """Decoded beliefs by split, snapshot, site, prefix and component."""
    variables = {"decoded_belief": (("split", "snapshot", "site", "prefix", "component"), belief)}
    return xr.Dataset(variables, snapshots(*steps, seeds=seeds) | {"split": list(splits), "site": sites})
