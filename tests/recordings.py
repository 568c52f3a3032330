"""Files of activations, as somebody else would save them: of a network that a study trained, or of random numbers."""

import numpy as np
import zarr
from safetensors.numpy import save_file

from geometry.processes.prefix_tree import tree_of
from geometry.storage import open_dataset


def nodes_of_sequences(tree):
    """The node of each longest sequence at each position."""
    nodes = [np.arange(len(tree))[tree.levels[-1]]]
    while (above := tree.parent[nodes[-1]]).max() >= 0:
        nodes.append(above)
    return np.stack(nodes[::-1], axis=1)


def exported(truth_path, activations_path):
    """The arrays of a recording of a run's first network, at its last snapshot and, as random, at its first."""
    with open_dataset(truth_path) as truth, open_dataset(activations_path) as found:
        tree, sites = tree_of(truth), found["site"].values.tolist()
        nodes = nodes_of_sequences(tree)
        arrays = {"tokens": tree.last_token[nodes].astype(np.int16)}
        for prefix, index in (("random_init/", 0), ("", -1)):
            for place, site in enumerate(sites):
                arrays[prefix + site] = found["activation"][index, place].values[nodes]
            arrays[f"{prefix}log_probability"] = found["log_probability"][index].values[nodes]
    return arrays


def save(arrays, path):
    """Save arrays in the format that the ending of a path names; a path without one is a Zarr folder."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".safetensors":
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    else:
        store = zarr.storage.ZipStore(path, mode="w") if path.suffix == ".zip" else zarr.storage.LocalStore(path)
        group = zarr.open_group(store, mode="w")
        for name, array in arrays.items():
            group.create_array(name, data=array)
        store.close()
