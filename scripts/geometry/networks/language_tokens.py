"""Tokens of language models, and the package that reads both: never from the net, and never with code in a folder.

The packages are those of envs/language.txt, which `make language` installs; they are imported by name, as the study's
own environment has none of them.
"""

from importlib import import_module

from geometry.networks.checkpoint_layouts import CheckpointError
from geometry.networks.language_files import LanguageModelFiles

MISSING = "format huggingface needs the packages of envs/language.txt; run: make language"


def transformers():
    """The package, offline; raises a `CheckpointError` where it is not installed."""
    try:
        package = import_module("transformers")
    except ImportError:
        raise CheckpointError(MISSING) from None
    package.logging.set_verbosity_error()
    package.logging.disable_progress_bar()
    return package


def how_to_read(files: LanguageModelFiles) -> dict:
    """The arguments with which transformers reads a folder."""
    safe = {"local_files_only": True, "trust_remote_code": False}
    return safe | ({"gguf_file": files.gguf} if files.gguf else {})


def token_ids(files: LanguageModelFiles, texts: list[str]) -> list[int]:
    """The number of each text in the model's vocabulary; raises a `CheckpointError` unless each is one token."""
    package = transformers()
    try:
        tokenizer = package.AutoTokenizer.from_pretrained(files.folder, **how_to_read(files))
    except Exception as error:  # a folder may be broken in as many ways as there are tokenizers
        raise CheckpointError(f"its tokenizer cannot be read ({one_line(error)})") from None
    found = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    for text, ids in zip(texts, found, strict=True):
        if len(ids) != 1:
            parts = tokenizer.convert_ids_to_tokens(ids)
            raise CheckpointError(f"its tokenizer splits {text!r} into {len(ids)} tokens ({parts}); it must be one")
    return [one for (one,) in found]


def one_line(error: Exception) -> str:
    """The type and text of an error, in one line of bounded length."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
