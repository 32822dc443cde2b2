"""Defines the settings of an evaluation: the `evaluation` part of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from clearbench.data.dataset import Split
from clearbench.errors import RecipeError, did_you_mean, explain
from clearbench.evaluation.controls import Control
from clearbench.evaluation.metric import Comparison, Metric, metric
from clearbench.evaluation.protocol import PromptForm
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.verdict.settings import VerdictSettings

#: Splits that can be measured: those of a dataset, and side effects.
Measured = Split | Literal["side"]
#: Settings that decide scores and not records.
_NOT_MEASURED = ("protocol", "asks", "controls", "eligible", "curve", "metrics", "verdict")
#: Settings left out where they are off, so that recipes without them keep their earlier hash.
_OMITTED_WHEN_OFF = ("stop_after", "curve", "metrics")
#: A metric in a recipe: its name, and optional parameters and key.
MetricEntry = dict[str, str | float | int | bool]


class CurveSettings(BaseModel):
    """Scores of a small sample during unlearning.

    Attributes:
        steps: Steps after which they are measured: a list (0 is before the first), or N for every
            N steps.
        limit: Rows per split and task, taken from people in turn.
        splits: Measured splits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=0)], ...]
    limit: int = Field(default=8, ge=1)
    splits: tuple[Split, ...] = ("forget", "retain")


def _longest(given: dict[str, Any]) -> int:
    """Returns the longest generated answer of a protocol, in tokens."""
    chosen = given.get("protocol")  # none where it is unknown, which is said elsewhere
    return (protocol(chosen).max_new_tokens if chosen else None) or 32


class EvaluationSettings(BaseModel):
    """Everything that decides what is measured and scored.

    Attributes:
        protocol: Set of metrics and aggregates.
        metrics: Metrics besides the protocol's, each a name with parameters and an optional
            `key`: `{name: min_k, share: 0.2}` adds scores that end in `min_k_share_0_2`.
        limit: Rows per split and task, taken from people in turn; None for all.
        max_new_tokens: Longest generated answer; the protocol's by default, and 32 where it has
            none.
        stop_after: Longest generated answer in multiples of the true one's tokens; None for
            `max_new_tokens` alone. It saves time on collapsed models and shortens their output, so
            scores with and without it are not compared.
        splits: Measured splits; the holdout is only needed for attacks, `side` for side effects.
        asks: Forms in which rows are asked besides their own question (`letter`, `paraphrased`,
            `cloze`); what the protocol needs is always asked.
        controls: Images that image rows are measured with a second time: `blank` ones, or
            another person's (`shuffled`). The scores end in `_blank` and `_shuffled`.
        eligible: Rows that count: `all`; `known`, what the original knew; `known_by_sight`, and
            of image rows only what the original did not know from a blank image.
        curve: Scores during unlearning, for `curve` in the results; None for losses alone. They
            change nothing in what is learned.
        verdict: Thresholds of the verdict; they change no score.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: str = "clear"
    metrics: tuple[MetricEntry, ...] = ()
    limit: int | None = Field(default=120, ge=1)
    max_new_tokens: int = Field(default_factory=_longest, ge=1)
    stop_after: float | None = Field(default=None, ge=1, allow_inf_nan=False)
    splits: tuple[Measured, ...] = (*get_args(Split), "side")
    asks: tuple[PromptForm, ...] = ()
    controls: tuple[Control, ...] = ()
    eligible: Literal["all", "known", "known_by_sight"] = "all"
    curve: CurveSettings | None = None
    verdict: VerdictSettings = VerdictSettings()

    @classmethod
    def of(cls, **fields: object) -> EvaluationSettings:
        """Checks settings; every problem is named in a `RecipeError`."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            hint = f"fields: {', '.join(cls.model_fields)}"
            raise RecipeError(explain(error, cls.model_fields), "evaluation", hint) from error

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        about: dict[str, Any] = write(self)
        return {k: v for k, v in about.items() if v or k not in _OMITTED_WHEN_OFF}

    @property
    def prompt_forms(self) -> tuple[PromptForm, ...]:
        """Forms in which rows are asked besides their own question, in alphabetical order."""
        return tuple(sorted({*protocol(self.protocol).asks, *self.asks}))

    @property
    def generated_splits(self) -> tuple[Split, ...]:
        """Splits whose answers are generated."""
        return protocol(self.protocol).generated

    @property
    def further_metrics(self) -> tuple[Metric | Comparison, ...]:
        """The configured metrics besides the protocol's."""
        return tuple(_configured(entry) for entry in self.metrics)

    @property
    def measured(self) -> dict[str, Any]:
        """Settings that decide the records: protocols with the same ones share records."""
        settings = self.model_dump(mode="json", exclude=set(_NOT_MEASURED))
        return settings | {"asks": self.prompt_forms, "spoken": self.generated_splits}

    @property
    def curve_settings(self) -> dict[str, Any] | None:
        """The settings that decide the curve, as JSON."""
        if self.curve is None:
            return None
        settings = self.curve.model_dump(mode="json")
        settings |= {"protocol": self.protocol, "asks": list(self.prompt_forms)}
        return settings | {"max_new_tokens": self.max_new_tokens, "stop_after": self.stop_after}

    @field_validator("protocol")
    @classmethod
    def _protocol_is_known(cls, name: str) -> str:
        try:
            return protocol(name).name
        except RecipeError as error:
            raise ValueError(f"{error.what}; {error.fix}") from error

    @field_validator("asks", mode="before")
    @classmethod
    def _forms_are_known(cls, names: Any) -> Any:
        known = get_args(PromptForm)
        for name in names if isinstance(names, list | tuple) else ():
            if name not in known:
                hint = did_you_mean(str(name), known)
                raise ValueError(f"no form of a prompt is called '{name}'; {hint}")
        return names

    @model_validator(mode="after")
    def _metrics_are_known(self) -> EvaluationSettings:
        chosen_protocol = protocol(self.protocol)
        listed = chosen_protocol.metrics() if self.metrics else ()
        taken = {known.score_key: known for known in listed}
        for entry in self.metrics:
            if "name" not in entry:
                raise ValueError(
                    f"metrics: {entry} has no 'name'; write {{name: min_k, share: 0.2}}"
                )
            try:
                chosen = _configured(entry)
            except RecipeError as error:
                raise ValueError(f"metrics: {error.what}; {error.fix}") from error
            if taken.setdefault(chosen.score_key, chosen) != chosen:
                raise ValueError(
                    f"metrics: two metrics have the key '{chosen.score_key}'; "
                    "give one of them another 'key'"
                )
        return self


def _configured(entry: MetricEntry) -> Metric | Comparison:
    parameters: dict[str, Any] = {key: value for key, value in entry.items() if key != "name"}
    return metric(str(entry["name"]), **parameters)
