"""Content by sentence embeddings: texts of similar meaning are near, whatever their words.

Reimers, Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks", EMNLP 2019. The library comes with
the extra ``embeddings``. Another text encoder can be passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.structures.factors import Factors
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata
from offline.training.algorithm import Algorithm, Context
from schemas.catalogue import Item
from schemas.errors import ConfigurationInvalid, NothingToTrain

Encoder = Callable[[Sequence[str]], NDArray[Any]]
"""Returns vectors (n, d) of n texts."""

_BATCH: Final = 512


@dataclass(frozen=True, kw_only=True)
class EmbeddingsParameters:
    """Parameters of content by embeddings."""

    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Name or folder of a model of the library ``sentence-transformers``."""


def train(
    interactions: Interactions,
    metadata: Metadata,
    encoder: Encoder,
    progress: Progress = quiet,
) -> Factors:
    """Returns item factors: the normalized embeddings of item texts. A user's vector is the mean of their items'.

    An item without text has zero factors. Raises NothingToTrain if no item has text.
    """
    texts = [_text(metadata.items.get(item_id)) for item_id in interactions.item_ids]
    described = [row for row, text in enumerate(texts) if text]
    if not described:
        raise NothingToTrain("nothing is said of the items that anybody met: import or send their titles or categories")
    parts = []
    for start in range(0, len(described), _BATCH):
        progress("encoding items' texts", start, len(described))
        parts.append(np.asarray(encoder([texts[row] for row in described[start : start + _BATCH]]), dtype=np.float32))
    encoded = np.concatenate(parts)
    factors = np.zeros((len(texts), encoded.shape[1]), dtype=np.float32)
    lengths = np.linalg.norm(encoded, axis=1, keepdims=True)
    factors[described] = encoded / np.where(lengths > 0, lengths, 1)
    biases, mean = np.zeros(len(texts), dtype=np.float32), np.eye(encoded.shape[1], dtype=np.float32)
    return Factors(interactions.item_ids, factors, biases, mean, share=1.0)


def encoder_of(parameters: EmbeddingsParameters) -> Encoder:
    """Returns the encoder of the library. Raises ConfigurationInvalid if the extra or the model is missing."""
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationInvalid(
            "content-embeddings needs the extra 'embeddings': pip install 'freshet[embeddings]'; content does without"
        ) from error
    try:
        model = SentenceTransformer(parameters.model)
    except OSError as error:
        raise ConfigurationInvalid(
            f"the model '{parameters.model}' can be neither read nor downloaded: name a folder that holds one"
        ) from error
    return lambda texts: np.asarray(model.encode(list(texts), show_progress_bar=False))


def _text(item: Item | None) -> str:
    """Returns title, description, categories and tags of an item as one text."""
    if item is None:
        return ""
    parts = [item.title, item.description, ", ".join(item.categories), ", ".join(item.tags)]
    return ". ".join(part for part in parts if part)


def _train(interactions: Interactions, parameters: EmbeddingsParameters, context: Context) -> Factors:
    return train(interactions, context.metadata, encoder_of(parameters), context.progress)


ALGORITHM: Final = Algorithm(
    name="content-embeddings",
    about="items whose texts mean the like of those that a person had; needs the extra 'embeddings'",
    parameters=EmbeddingsParameters,
    train=_train,
    kind=Factors.kind,
)
