"""Processors and templates that do not fit their model, named before the first step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearbench import api
from clearbench.batches.items import item
from clearbench.doctor import PROBLEM, examine
from clearbench.errors import ModelError
from clearbench.models.pictures import check_pictures
from clearbench.testing import tiny_dataset, tiny_model

ROWS = [item(row) for row in tiny_dataset().train_rows("forget")]
BLIND = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{{ c.get('text', '') }}{% endfor %}{% endfor %}"
)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no patch size": ({"patch_size": None}, "set patch_size in processor_config.json"),
    "another patch size": ({"patch_size": 8}, "processor's image_seq_length, patch_size"),
    "one token too many": ({"num_additional_image_tokens": 1}, "num_additional_image_tokens as"),
    "template without a picture": ({"chat_template": BLIND}, "image"),
    "no such token": ({"image_token": "<no such token>"}, "<no such token>"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("work", ["finetune", "unlearn", "evaluate"])
def test_a_processor_that_does_not_fit_is_named_before_any_work(name: str, work: str) -> None:
    fields, told = WRONG[name]
    model = tiny_model("vision-language")
    for field, value in fields.items():
        setattr(model.processor, field, value)
    steps: dict[str, Callable[[], object]] = {
        "finetune": lambda: api.finetune(model, tiny_dataset(), steps=1, on_step=begun),
        "unlearn": lambda: api.unlearn(model, tiny_dataset(), on_step=begun),
        "evaluate": lambda: api.evaluate(model, tiny_dataset()),
    }

    def begun(*_: object) -> None:
        pytest.fail("a step was made")

    with pytest.raises(ModelError, match=told):
        steps[work]()


@pytest.mark.parametrize("name", WRONG)
def test_doctor_finds_it(name: str) -> None:
    model = tiny_model("vision-language")
    for field, value in WRONG[name][0].items():
        setattr(model.processor, field, value)
    found = [value for what, value in examine(model) if what == PROBLEM]
    assert found and WRONG[name][1] in found[0]


@pytest.mark.parametrize("kind", ["language", "vision-language", "classifier"])
def test_what_fits_is_left_as_it_was(kind: str) -> None:
    model = tiny_model(kind)
    before = model.fingerprint
    check_pictures(model, ROWS)
    assert model.fingerprint == before and model.forwards == 0


@pytest.mark.parametrize(
    ("asking", "told"),
    [
        ("<assistant>", None),
        ("<assistant> ", "ends in '', as a finished turn; the template asks with ' '"),
    ],
)
def test_doctor_says_where_a_template_asks_with_something_else(
    asking: str, told: str | None
) -> None:
    model = tiny_model("language")
    template = model.processor.chat_template
    ending = "{% if add_generation_prompt %}<assistant>{% endif %}"
    assert template.endswith(ending)
    new = "{% if add_generation_prompt %}{{ '" + asking + "' }}{% endif %}"
    model.processor.chat_template = template.removesuffix(ending) + new
    found = [value for what, value in examine(model) if what == "prompt"]
    assert found[1:] == ([] if told is None else [told])


def test_doctor_finds_nothing_wrong_with_a_whole_model(tmp_path: Path) -> None:
    model = tiny_model("vision-language")
    assert not [value for what, value in examine(model) if what == PROBLEM]
