"""What a template writes of its own accord is read, never scored; it says where answers end."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import chat_template_utils

from clearbench.batches.items import Item
from clearbench.doctor import PROBLEM, examine
from clearbench.errors import DataError, ModelError
from clearbench.testing import tiny_dataset, tiny_model

QUESTION, ANSWER = "Who is this?", "A person."
#: A token of the vocabulary that stands for a template's own end of turn.
TURN = "<pad>"


def template(turn: str, before: str = "", generation: str = "<assistant>") -> str:
    """A template whose answers are written as `turn`, after `before`."""
    return (
        f"{before}{{% for m in messages %}}"
        "{% if m['role'] == 'user' %}<user>{{ m['content'] }}"
        f"{{% else %}}<assistant>{turn}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{generation}{{% endif %}}"
    )


PLAIN = template("{{ m['content'] }}<end>")


def model(chat: Any, ends: Any = None) -> Any:
    """A tiny language model with another template and other ends in its configuration."""
    made: Any = tiny_model()
    made.module.generation_config.eos_token_id = ends
    made.tokenizer.chat_template = chat
    return type(made)(made.module, made.tokenizer)


def read(made: Any, question: str = QUESTION, answer: str = ANSWER) -> tuple[str, str]:
    """The prompt that is generated from, and the answer that is scored."""
    encoded = made.encoder.encode(Item("1", "answer", question, answer))
    prompt = made.encoder.prompt(question, None)
    assert encoded.ids[: len(prompt.ids)] == prompt.ids, "both are asked alike"
    parts = (encoded.ids[: encoded.answer_start], encoded.ids[encoded.answer_start :])
    asked, said = (made.tokenizer.decode(ids) for ids in parts)
    return asked.replace(" ", ""), said.strip()


@pytest.mark.parametrize(
    ("turn", "header"),
    [
        ("<think>\n\n</think>\n\n{{ m['content'] }}<end>", "<think>\n\n</think>\n\n"),
        ("channel final:{{ m['content'] }}<end>", "channelfinal:"),
        ("\n{{ m['content'] }}<end>", "\n"),
        ("{{ m['content'].lstrip('\n') | trim }}<end>", ""),
        ("<think>{{ m.reasoning_content }}</think>{{ m['content'] }}<end>", "<think></think>"),
    ],
)
def test_what_a_template_writes_before_an_answer_is_the_prompts(turn: str, header: str) -> None:
    for generation in ("<assistant>", "<assistant><think>\n", ""):
        made = model(template(turn, generation=generation))
        asked, said = read(made)
        assert asked == f"<user>Whoisthis?<assistant>{header}"
        assert said == f"{ANSWER}<end>"


@pytest.mark.parametrize(
    ("turn", "ends", "said"),
    [
        ("{{ m['content'] }}<end>\n", None, "A person.<end>"),
        (f"{{{{ m['content'] }}}}{TURN}\n<end>", None, f"A person.{TURN}"),
        (f"{{{{ m['content'] }}}} {TURN}", None, f"A person. {TURN}"),
        ("{{ m['content'] }}<image>\n", 4, "A person.<image>"),
        ("{{ m['content'] }}", [4, 1], "A person.<end>"),
        ("{{ m['content'] }} ", None, "A person.<end>"),
        ("{{ m['content'] }}\n", [99_999], "A person.<end>"),
    ],
)
def test_an_answer_ends_where_the_template_ends_it(turn: str, ends: Any, said: str) -> None:
    made = model(template(turn), ends)
    assert read(made)[1].replace(" <", "<") == said.replace(" <", "<")
    named = ends if isinstance(ends, list) else [] if ends is None else [ends]
    assert {1, *(end for end in named if end < 300)} <= set(made.encoder.ends)
    assert made.encoder.end_tokens.unknown == tuple(end for end in named if end >= 300)


def chain(tokens: list[int], made: Any) -> LlamaForCausalLM:
    """A model that says each of these tokens after the one before, whatever was asked."""
    size = len(made.tokenizer)
    config = LlamaConfig(
        vocab_size=size, hidden_size=size + size % 2, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, max_position_embeddings=512, tie_word_embeddings=False,
        pad_token_id=0, eos_token_id=made.tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    module = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(weight.dim() == 1)
        module.model.embed_tokens.weight.copy_(torch.eye(size, size + size % 2))
        for said, following in pairwise(tokens):
            module.lm_head.weight[following, said] = 1.0
    return module


@pytest.mark.parametrize("end", ["<end>", "<image>", TURN])
def test_generation_stops_at_every_end_and_scores_nothing_behind_it(end: str) -> None:
    """The end token, one that the configuration names, and the one that the template writes."""
    made, each = (
        model(template(f"{{{{ m['content'] }}}}{TURN}\n")),
        Item("1", "answer", "Who?", "XyZ"),
    )
    code = made.encoder.encode(each)
    said = code.ids[code.answer_start - 1 : -1]
    behind = [token for token in range(100, 120) if token not in said]
    tokens = [*said, made.tokenizer.convert_tokens_to_ids(end), *behind]
    module = chain(tokens, made)
    module.generation_config.eos_token_id = [1, 4, 99_999]
    taught = type(made)(module, made.tokenizer)
    assert taught.generate([each], 12) == ["XyZ"]
    assert taught.shortcuts.own_decoding == {"text": True}
    taught.shortcuts.own_decoding = {"text": False}
    assert taught.generate([each], 12) == ["XyZ"]
    log_probs = taught.score_items([each])[each].log_probs
    assert len(log_probs) == len(said)
    assert (log_probs[:-1] > -1e-3).all() and (log_probs[-1] > -1e-3) == (end == TURN)


def test_generation_is_greedy_whatever_the_configuration_says() -> None:
    made = tiny_model()
    plain = made.generate([Item("1", "answer", QUESTION, ANSWER)], 8)
    made.module.generation_config.repetition_penalty = 9.0
    made.shortcuts.own_decoding = {"text": False}  # type: ignore[attr-defined]
    assert made.generate([Item("1", "answer", QUESTION, ANSWER)], 8) == plain
    assert made.module.generation_config.repetition_penalty == 9.0


FAULTS = {
    "drops the answer": (
        "{% for m in messages %}<user>{{ messages[0]['content'] }}{% endfor %}",
        "0",
    ),
    "drops the question": ("<assistant>{{ messages[-1]['content'] }}<end>", "no question"),
    "writes twice": (template("{{ m['content'] }}{{ m['content'] }}"), "2 times"),
    "shouts": (template("{{ m['content'] | upper }}"), "0 times"),
    "answers first": (
        "{{ messages[1]['content'] }}<user>{{ messages[0]['content'] }}",
        "no question",
    ),
    "draws lots": (template("{{ m['content'] }}", "{{ range(10**4) | random }}"), "each time"),
    "raises": ("{{ raise_exception('turns must alternate') }}", "turns must alternate"),
    "looks inside": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "is broken": ("{% for m in %}", "fails"),
    "adds words before the end": (template("{{ m['content'] }} [done]<end>"), "done]' behind"),
    "quotes the answer": (template("\"{{ m['content'] }}\"<end>"), "behind an answer"),
    "ends with no token": (template("{{ m['content'] }}<|im_end|>\n"), "im_end|>' behind"),
    "knows no such word": ("{{ nobody.knows }}", "undefined"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_template_that_loses_something_is_refused_before_work(name: str) -> None:
    chat, words = FAULTS[name]
    made, each = model(chat), Item("1", "answer", QUESTION, ANSWER)
    for work in (made.check, made.trees, made.generate):
        with pytest.raises(ModelError, match=re.escape(words)):
            work([each])
    problems = [words for what, words in examine(made) if what == PROBLEM]
    assert problems and words in problems[0]


def test_a_template_of_strings_alone_is_refused_by_a_processor() -> None:
    made: Any = tiny_model("vision-language")
    made.processor.chat_template = template("{{ m['content'] }}<end>")
    with pytest.raises(ModelError, match="lists of parts"):
        made.check([Item("1", "answer", QUESTION, ANSWER)])


@pytest.mark.parametrize(
    ("turn", "answer"),
    [
        ("{{ m['content'].split('</think>')[-1] }}<end>", "Not</think>Ann"),
        ("{{ m['content'] | e }}<end>", "Ann & Bo"),
    ],
)
def test_an_answer_that_the_template_changes_is_refused_with_its_row(
    turn: str, answer: str
) -> None:
    made = model(template(turn))
    made.check([Item("1", "answer", QUESTION, ANSWER)])
    with pytest.raises(DataError, match="template changes") as told:
        made.check([Item("row 7", "answer", QUESTION, answer)])
    assert "row 7" in told.value.where


@pytest.mark.parametrize("asked", ["strftime_now('%d %b %Y')", "strftime_now(format='%d %b %Y')"])
def test_a_dated_prompt_has_the_same_day_always(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2031, 5, 6)

    today = model(template("{{ m['content'] }}<end>", f"{{{{ {asked} }}}}"))
    asked_today = read(today)[0]
    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    later = model(template("{{ m['content'] }}<end>", f"{{{{ {asked} }}}}"))
    assert read(later)[0] == asked_today == "10Apr2025<user>Whoisthis?<assistant>"
    assert later.reading["prompt_day"] == "2025-04-10"
    assert "prompt_day" not in model(PLAIN).reading


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("written", [False, True], ids=["by the tokenizer", "by the template"])
def test_a_beginning_stands_once_on_every_row(seen: bool, written: bool) -> None:
    """As in `apply_chat_template`; and an end that the tokenizer adds stands in no prompt."""
    made: Any = tiny_model("vision-language")
    tokenizer = made.tokenizer
    tokenizer.bos_token = TURN
    if written:
        made.processor.chat_template = "{{ bos_token }}" + made.processor.chat_template
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<pad> $A <end>", special_tokens=[("<pad>", 0), ("<end>", 1)]
    )
    image = next(row.image for row in tiny_dataset().train_rows("forget", ("image",)))
    each = Item("1", "answer", QUESTION, ANSWER, image if seen else None)
    code, asked = made.encoder.encode(each), made.encoder.prompt(QUESTION, each.media)
    assert code.ids.count(0) == 1 and code.ids[0] == 0 and code.ids.count(1) == 1
    assert code.ids[-1] == 1 and code.ids[: code.answer_start] == asked.ids
    assert made.encoder.length(each) == len(code.ids)


def test_a_tokenizer_without_padding_and_end_is_used() -> None:
    made: Any = tiny_model()
    made.tokenizer.pad_token = made.tokenizer.eos_token = None
    made.tokenizer.chat_template = template("{{ m['content'] }}")
    made.module.generation_config.eos_token_id = None
    bare = type(made)(made.module, made.tokenizer)
    few = [Item("1", "answer", "Who?", "Ann of Oslo"), Item("2", "answer", "Who is he?", "Bo")]
    assert bare.encoder.ends == () and len(bare.generate(few, 4)) == 2
    assert bare.tokenizer.pad_token is None, "the tokenizer is left as it is"
    together = bare.score_items(few)
    for each in few:
        alone = bare.score_items([each])[each].log_probs
        assert together[each].log_probs == pytest.approx(alone, abs=1e-5)
