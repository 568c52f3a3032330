"""Language models of Hugging Face's transformers, read from a folder: never from the net, and never with code in it.

The packages are those of envs/language.txt, which `make language` installs; they are imported by name, as the study's
own environment has none of them.
"""

from collections.abc import Iterator
from importlib import import_module

import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor, nn

from geometry.networks.checkpoint_layouts import CheckpointError
from geometry.networks.language_files import LanguageModelFiles

MISSING = "format huggingface needs the packages of envs/language.txt; run: make language"

OVERSIZE = 8
"""Numbers of a network for each byte of its file, at most: no file of weights has fewer than one bit for a number."""


def transformers():
    """The package, offline; raises a `CheckpointError` where it is not installed."""
    try:
        package = import_module("transformers")
    except ImportError:
        raise CheckpointError(MISSING) from None
    package.logging.set_verbosity_error()
    package.logging.disable_progress_bar()
    return package


def _where(files: LanguageModelFiles) -> dict:
    """The arguments by which transformers reads a folder."""
    safe = {"local_files_only": True, "trust_remote_code": False}
    return safe | ({"gguf_file": files.gguf} if files.gguf else {})


def token_ids(files: LanguageModelFiles, texts: list[str]) -> list[int]:
    """The number of each text in the model's vocabulary; raises a `CheckpointError` unless each is one token."""
    package = transformers()
    try:
        tokenizer = package.AutoTokenizer.from_pretrained(files.folder, **_where(files))
    except Exception as error:  # a folder may be broken in as many ways as there are tokenizers
        raise CheckpointError(f"its tokenizer cannot be read ({_one_line(error)})") from None
    found = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    for text, ids in zip(texts, found, strict=True):
        if len(ids) != 1:
            parts = tokenizer.convert_ids_to_tokens(ids)
            raise CheckpointError(f"its tokenizer splits {text!r} into {len(ids)} tokens ({parts}); it must be one")
    return [one for (one,) in found]


def load(files: LanguageModelFiles, device: torch.device, seed: int | None = None) -> nn.Module:
    """The model in float32, ready to be called; with a seed, one of the same shape with random weights instead.

    Raises a `CheckpointError` where the weights are not those of the configuration, or there is no such model.
    """
    package = transformers()
    try:
        config = package.AutoConfig.from_pretrained(files.folder, **_where(files))
        with torch.device("meta"):
            n_numbers = sum(p.numel() for p in package.AutoModelForCausalLM.from_config(config).parameters())
        if n_numbers > OVERSIZE * files.n_bytes:
            raise CheckpointError(f"its configuration has {n_numbers} weights, for which its files are too short")
        if seed is None:
            options = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
            network, loading = package.AutoModelForCausalLM.from_pretrained(files.folder, **_where(files), **options)
            if absent := sorted(loading["missing_keys"]):
                raise CheckpointError(f"its files have no weights {absent[0]!r}, which would stay random")
        else:
            torch.manual_seed(seed)
            network = package.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"transformers cannot read it ({_one_line(error)})") from None
    return network.to(device).eval()


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@torch.no_grad()
def recorded(
    network: nn.Module,
    words: Integer[ndarray, "sequence position"],
    ids: list[int],
    beginning: bool,
    layers: list[int],
    at_once: int,
) -> Iterator[tuple[slice, list[Float[Tensor, "sequence position feature"]], Float[Tensor, "sequence position token"]]]:
    """For some sequences at a time: the states behind some layers, and log-probabilities of the process's tokens.

    Layer 0 is the embedding, and the state behind the last layer is normalised, as in the ``hidden_states`` of
    transformers. Predictions are normalised over these tokens. With `beginning`, the model's token for the beginning
    of a sequence comes before each.
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
        logits = output.logits[:, int(beginning) :, ids].float().cpu()
        yield slice(start, start + len(tokens)), states, logits.log_softmax(-1)
