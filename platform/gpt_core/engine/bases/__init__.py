"""Base models: find, convert once to safetensors, pin by hash, open.

A prepared base is a folder `store/<name>-<digest12>/` that never changes. Weights are safetensors and
settings are JSON: no pickle is opened and no code that came with a model runs.
"""

from .conversion import check_folder, describe_base, prepare_base, write_model_files
from .opening import MANIFEST, Base, digest_of, load_model, load_tokenizer, open_base

__all__ = [
    "MANIFEST",
    "Base",
    "check_folder",
    "describe_base",
    "digest_of",
    "load_model",
    "load_tokenizer",
    "open_base",
    "prepare_base",
    "write_model_files",
]
