"""Language models of Hugging Face's transformers, read from a folder: weights, states and predictions."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from geometry.networks.checkpoint_layouts import CheckpointError
from geometry.networks.language_files import LanguageModelFiles
from geometry.networks.language_tokens import how_to_read, one_line, transformers

OVERSIZE = 8
"""Numbers of a network for each byte of its file, at most: no file of weights has fewer than one bit for a number."""


def load(files: LanguageModelFiles, device: torch.device, seed: int | None = None) -> nn.Module:
    """The model in float32, ready to be called; with a seed, one of the same shape with random weights instead.

    Raises a `CheckpointError` where the weights are not those of the configuration, or there is no such model.
    """
    package = transformers()
    try:
        config = package.AutoConfig.from_pretrained(files.folder, **how_to_read(files))
        with torch.device("meta"):
            n_numbers = sum(p.numel() for p in package.AutoModelForCausalLM.from_config(config).parameters())
        if n_numbers > OVERSIZE * files.n_bytes:
            raise CheckpointError(f"its configuration has {n_numbers} weights, for which its files are too short")
        if seed is None:
            options = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
            network, loading = package.AutoModelForCausalLM.from_pretrained(
                files.folder, **how_to_read(files), **options
            )
            if absent := sorted(loading["missing_keys"]):
                raise CheckpointError(f"its files have no weights {absent[0]!r}, which would stay random")
        else:
            torch.manual_seed(seed)
            network = package.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"transformers cannot read it ({one_line(error)})") from None
    return network.to(device).eval()


@torch.no_grad()
def recorded(
    network: nn.Module,
    words: Integer[ndarray, "sequence position"],
    ids: list[int],
    beginning: bool,
    layers: list[int],
    at_once: int,
    normalized: bool = False,
) -> Iterator[tuple[slice, list[Float[Tensor, "sequence position feature"]], Float[Tensor, "sequence position token"]]]:
    """For some sequences at a time: the states behind some layers, and log-probabilities of the process's tokens.

    Layer 0 is the embedding, and the state behind the last layer is normalised, as in the ``hidden_states`` of
    transformers. Predictions are normalised over these tokens. With `beginning`, the model's token for the beginning
    of a sequence comes before each. `normalized` states are divided by their root mean square at each position, as
    the RMSNorm of the layer that reads them does.
    """
    device, vocabulary = next(network.parameters()).device, torch.tensor(ids)
    first = network.config.bos_token_id
    if beginning and first is None:
        raise CheckpointError("model.bos is true, but the model has no token for the beginning (bos_token_id)")
    for start in range(0, len(words), at_once):
        tokens = vocabulary[torch.from_numpy(words[start : start + at_once].astype("int64"))]
        if beginning:
            tokens = torch.cat([torch.full((len(tokens), 1), first), tokens], dim=1)
        output = network(tokens.to(device), output_hidden_states=True, use_cache=False)
        states = [output.hidden_states[layer][:, int(beginning) :].float().cpu() for layer in layers]
        if normalized:
            states = [rms_norm(state, state.shape[-1:]) for state in states]
        logits = output.logits[:, int(beginning) :, ids].float().cpu()
        yield slice(start, start + len(tokens)), states, logits.log_softmax(-1)
