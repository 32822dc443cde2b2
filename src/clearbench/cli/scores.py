"""Command that scores records and logs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clearbench.cli.options import Json, Plugins, load_plugins
from clearbench.cli.output import say, show_table
from clearbench.errors import DataError, RecipeError

if TYPE_CHECKING:
    from clearbench.evaluation.metric import Comparison, Metric
    from clearbench.evaluation.protocol import Protocol
    from clearbench.evaluation.records import Records
    from clearbench.evaluation.score import Band, Score


def score(
    log: Annotated[Path, typer.Argument(help="A folder of records, or a published log.")],
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="The gold model's records or log; more of other seeds: the null band."),
    ] = None,
    original: Annotated[Path | None, typer.Option(help="Those of the model before.")] = None,
    known_only: Annotated[bool, typer.Option(help="Only rows that the original knew.")] = False,
    blank: Annotated[
        Path | None, typer.Option(help="The original's, shown blank pictures.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="See `clearbench list protocols`.")] = "clear",
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Computes every score of a model from its records, or from a log that others published."""
    from clearbench.attacks.scoring import null_band, scored, undefined_leaks
    from clearbench.evaluation.doubts import doubts
    from clearbench.evaluation.logs.read import read_log
    from clearbench.evaluation.protocols import protocol as named
    from clearbench.evaluation.statistics import eligible

    load_plugins(plugin)
    chosen, records = named(protocol), read_log(log)
    golds = [read_log(path) for path in reference or ()]
    first = read_log(original) if original else None
    _check_compared(records, reference or (), golds, first)
    if known_only or blank:
        if first is None:
            raise RecipeError("which rows count depends on the original", "score", "--original LOG")
        blind = read_log(blank) if blank else None
        golds = [eligible(gold, first, blind) for gold in golds]
        records, first = (eligible(measured, first, blind) for measured in (records, first))
    compared = golds[0] if golds else None
    scores, failures = scored(records, compared, first, protocol, metrics=_of_plugins(chosen))
    if not scores:
        fix = "give another --protocol (`clearbench list protocols`), or a log with more in it"
        raise DataError(f"nothing of protocol '{protocol}' can be computed", str(log), fix)
    bands = null_band(golds, protocol) if len(golds) > 1 else {}
    doubtful = [*doubts(scores, chosen, records, compared, bands), *undefined_leaks(scores)]
    if as_json:
        content = {key: score.model_dump(mode="json") for key, score in scores.items()}
        about = {"protocol": protocol, "version": chosen.version, "scores": content}
        if failures:
            about["failed_metrics"] = failures
        if bands:
            about["null_band"] = {key: asdict(bands[key]) for key in scores if key in bands}
        if doubtful:
            about["doubts"] = doubtful
        typer.echo(json.dumps(about, indent=1, allow_nan=False))
        return
    _show_scores(scores, bands, chosen.names)
    say(*(f"doubtful: {sentence}" for sentence in doubtful))
    say(*(f"metric '{name}' failed: {reason}" for name, reason in failures.items()))


def _check_compared(
    records: Records, paths: Sequence[Path], golds: Sequence[Records], original: Records | None
) -> None:
    """Refuses references of other questions, copies, and references in the log's place."""
    from clearbench.evaluation.comparable import check_no_copy, check_not_swapped
    from clearbench.evaluation.comparable import check_same_questions as check_same

    for place, (path, gold) in enumerate(zip(paths, golds, strict=True)):
        check_same(records, gold, "reference")
        for other in (records, *golds[:place]):
            check_no_copy(other, gold, str(path), "reference")
        check_not_swapped(records, gold)
    if original is not None:
        check_same(records, original, "original")


def _of_plugins(chosen: Protocol) -> tuple[Metric | Comparison, ...]:
    """Lists the metrics of plugins, where the protocol does not compute every metric anyway."""
    from clearbench.evaluation.metric import METRICS
    from clearbench.plugins import is_of_plugin

    if chosen.entries is None:
        return ()
    of_plugins = [cls for cls in METRICS.values() if is_of_plugin(cls)]
    return tuple(metric for cls in of_plugins for metric in cls.configured())


def _show_scores(
    scores: Mapping[str, Score], bands: Mapping[str, Band], names: Mapping[str, str]
) -> None:
    columns = ["score", "value", "95 %", "n", "gold"]
    columns += ["golds apart"] * bool(bands) + ["published as"] * bool(names)
    rows = []
    for key, score in scores.items():
        interval = f"{score.low:.3f} to {score.high:.3f}" if score.low is not None else ""
        gold_value = f"{score.gold:.3f}" if score.gold is not None else ""
        more = [_apart(score, bands.get(key))] if bands else []
        more += [names.get(key, "")] if names else []
        rows.append((key, f"{score.value:.4g}", interval, str(score.n), gold_value, *more))
    show_table(
        columns,
        rows,
        dropped_first=("n", "golds apart", "95 %", "published as", "gold"),
        all_of_it="--json, or pipe it through `cat`",
    )


def _apart(score: Score, band: Band | None) -> str:
    """Writes how far golds of different seeds differ, and whether the model is as near."""
    if band is None or score.gold is None:
        return ""
    return f"{band.gap:.3g}" + (" (inside)" if band.holds(score.value, score.gold) else "")
