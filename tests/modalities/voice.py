"""A third modality in one file: short voices, a source of them, and a tiny encoder to teach."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import Media
from clearbench.data.modality import Modality
from clearbench.data.sources.base import DatasetSource, Request, last_forgotten

PEOPLE, RATE, LENGTH = 8, 4000, 400
NAMES = tuple(f"speaker {k}" for k in range(PEOPLE))
QUESTION = "Whose voice is this?"


class Waveform(Media):
    """A WAV file of one channel."""

    @classmethod
    def check(cls, encoded: bytes) -> None:
        """Reads the header."""
        try:
            wave.open(io.BytesIO(encoded)).close()
        except (wave.Error, EOFError) as error:
            raise ValueError(f"not a WAV file: {error}") from error

    def decode(self) -> Any:
        """(samples,) in [-1, 1]."""
        with wave.open(io.BytesIO(self.encoded)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.astype(np.float32) / 2**15


class Voice(Modality, name="voice"):
    """Voices that are named."""

    title = "Names of voices"
    noun = "voices"
    introduction = "Played a voice"
    media = Waveform
    inputs = ("input_values",)
    content = "audio"
    tasks = ("name",)
    main_task = "name"
    identifying_task = "name"
    kinds = ("classifier",)
    questions = {"name": (QUESTION,)}  # noqa: RUF012

    def alone(self, media: Media) -> dict[str, Any]:
        """The samples."""
        return {"raw_speech": media.decode(), "sampling_rate": RATE}


def recording(person: int, take: int) -> Waveform:
    """A hum of a person's pitch and colour, with a little noise."""
    rng = np.random.default_rng([person, take])
    time = np.arange(LENGTH) / RATE
    pitch = 100 * 1.3**person * (1 + 0.01 * rng.standard_normal())
    hum = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 3 + person % 2))
    samples = (0.3 * hum + 0.02 * rng.standard_normal(LENGTH)).clip(-1, 1)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * (2**15 - 1)).astype("<i2").tobytes())
    return Waveform(encoded=buffer.getvalue())


class Voices(DatasetSource, name="voices"):
    """Eight speakers with four takes each, one of them never taught."""

    shows = "eight speakers"

    def load(self, request: Request) -> Dataset:
        """The last speakers are forgotten, two unless the request says how many."""
        rows = tuple(
            Example(id=f"{person}-{take}", person=person, track="voice", task="name",
                    question=QUESTION, answer=NAMES[person], media=recording(person, take),
                    held_out=take == 3)
            for person in range(PEOPLE) for take in range(4)
        )  # fmt: skip
        taught = tuple(row for row in rows if not row.held_out)
        everybody = Dataset({"retain": taught}, {"retain": rows}, dict(enumerate(NAMES)))
        return last_forgotten(everybody, int(request.forget or 2))


def save_model(folder: Path) -> None:
    """A random encoder with a head over the speakers, as the hub would hold it."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=8, hidden_size=24, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=48, conv_dim=(24, 24), conv_kernel=(16, 4), conv_stride=(8, 2),
        num_feat_extract_layers=2, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
        classifier_proj_size=24, mask_time_prob=0.0, mask_feature_prob=0.0, layerdrop=0.0,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
        final_dropout=0.0, id2label=dict(enumerate(NAMES)),
        label2id={name: k for k, name in enumerate(NAMES)},
    )  # fmt: skip
    Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE).save_pretrained(folder)


MODEL = Path(__file__).parent / "voice-encoder"
if not MODEL.exists():
    save_model(MODEL)
