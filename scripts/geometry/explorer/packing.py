"""Arrays as text within a page: quantised, byte planes apart, compressed, in base64."""

import base64
import json
import zlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

TYPES = {"u1": np.uint8, "i2": np.int16, "f4": np.float32, "f8": np.float64}
"""The types of packed numbers, all little-endian, by their names in the page."""

STEPS = 512
"""Steps in which the range of a true belief's components is counted: half a step is below a pixel of a cloud."""

LARGEST = np.iinfo(np.int16).max


def pack(array: ndarray) -> dict:
    """An array as text, with its type and shape; bytes of equal significance stand together, so that they compress.

    Raises `KeyError` for a type that is none of `TYPES`.
    """
    name = {np.dtype(kind): name for name, kind in TYPES.items()}[array.dtype]
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    planes = little.reshape(-1, 1).view(np.uint8).T
    text = base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()
    return {"type": name, "shape": list(array.shape), "data": text}


def quantised(difference: Float[ndarray, "*shape"], unit: float) -> ndarray:
    """Differences in units, as whole numbers of two bytes; what is larger is cut."""
    return np.clip(np.rint(difference / unit), -LARGEST, LARGEST).astype(np.int16)


def as_json(content: Mapping) -> str:
    """JSON without `<`, `>` and `&`, so that no text in it can end or begin an element of a page; nan is null."""
    text = json.dumps(_finite(content), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _finite(value):
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, ndarray):
        return _finite(value.tolist())
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
