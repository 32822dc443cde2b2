"""The report: what it says, that it is inert, and that it is the same bytes every time."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clearbench.errors import StorageError
from clearbench.methods.base import METHODS
from clearbench.report import curves
from clearbench.report.answers import revealed
from clearbench.report.groups import Group, groups
from clearbench.report.html import render, write_report
from clearbench.report.private import image, public_facts, without_paths
from clearbench.report.rows import main_table
from clearbench.report.summary import print_summary
from clearbench.report.tables import scoreboard, sentence
from clearbench.report.words import label, method_label, seconds
from clearbench.runs.schema import Details, Results, ShownQuestion, WordedMethod, Wording
from clearbench.runs.wording import wording

Json = dict[str, Any]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{% raw %}$\\frac{1}"


@pytest.fixture
def few(results: Json) -> Json:
    """A smaller run: the vision-language model asked to forget text and faces."""
    results["rows"] = [row for row in results["rows"] if row["modality"] == "both"]
    return results


def checked(results: Json, details: Json) -> tuple[Results, Details]:
    return Results.parse(results, "results"), Details.parse(details, "details")


def grouped(results: Json) -> tuple[Group, ...]:
    parsed = Results.parse(results, "results")
    return groups(parsed, wording(parsed))


def summary(results: Json, details: Json) -> str:
    out = io.StringIO()
    console = Console(file=out, width=100)
    print_summary(*checked(results, details), Path("runs/demo/report.html"), console)
    return out.getvalue()


class Seen(HTMLParser):
    """What a browser would meet: tags, attributes, the text of scripts, and plain text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self._inside == "script" else self.text).append(data)


_PAGE: list[str] = []


@pytest.fixture
def page(results: Json, details: Json) -> str:
    """The rendered page, made once."""
    _PAGE.extend([] if _PAGE else [render(*checked(results, details))])
    return _PAGE[0]


def _only_ours(seen: Seen) -> None:
    """One script whose hash the policy names, no handlers, nothing from elsewhere."""
    assert seen.tags.count("script") == 1
    digest = base64.b64encode(hashlib.sha256(seen.scripts[0].encode()).digest()).decode()
    policy = next(v for t, n, v in seen.attributes if t == "meta" and "default-src" in v)
    assert policy == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    )
    assert not [name for _, name, _ in seen.attributes if name.startswith("on")]
    addresses = [v for _, n, v in seen.attributes if n in ("src", "href", "xlink:href", "action")]
    assert all(each.startswith(("data:image/", "#")) for each in addresses)
    assert not {"iframe", "object", "embed", "link", "base", "form"} & set(seen.tags)


def test_page_is_self_contained(page: str) -> None:
    seen = Seen(page)
    _only_ours(seen)
    assert seen.tags.count("h1") == seen.tags.count("main") == 1
    assert not [value for _, name, value in seen.attributes if "url(http" in value]


def test_ids_are_unique(page: str) -> None:
    ids = [value for _, name, value in Seen(page).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_page_says_what_happened(page: str) -> None:
    text = " ".join("".join(Seen(page).text).split())
    for said in (
        "Amara Okonjo-Vale",
        "Yun-seo Harkavy",
        "Who is this person?",
        "diverged",
        "every test holds",
        "forget.text.probability fails",
        "4 of 4 people asked in text (48)",
        "In Uppsala.",
        "Gold, seed 1",
    ):
        assert said in text
    assert "KL minimization, Gradient difference, DPO and NPO forgot." in text
    assert "forget.jsonl was NaN at step 17" in text


def test_nothing_tells_whose_machine_it_was(page: str) -> None:
    said = "".join(Seen(page).text)
    for private in ("secret", "/home", "/opt", "kim", "site-packages"):
        assert private not in said
    assert "0.21.2" in said


def test_same_bytes(few: Json, details: Json, tmp_path: Path) -> None:
    for name in "ab":
        write_report(*checked(few, details), tmp_path / f"{name}.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def _poisoned(value: Any, key: str = "") -> Any:
    """Every free text replaced by hostile text; what joins rows together stays."""
    if isinstance(value, dict):
        return {name: _poisoned(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_poisoned(each, key) for each in value]
    fixed = {"id", "model", "modality", "status", "gold", "direction"}
    fixed |= {"word", "kind", "outcome", "key"}
    return HOSTILE if isinstance(value, str) and key not in fixed else value


def test_hostile_text_does_nothing(few: Json, details: Json) -> None:
    results, details = _poisoned(few), _poisoned(details)
    for row, true in zip(results["rows"], few["rows"], strict=True):
        anchor = true["method"] in ("gold", "original")
        row["method"] = true["method"] if anchor else true["method"] + HOSTILE
    results["environment"][HOSTILE] = HOSTILE
    hostile = render(*checked(results, details))
    seen = Seen(hostile)
    _only_ours(seen)
    assert seen.tags.count("img") == 0
    assert "{{7*7}}" in "".join(seen.text)
    assert "49{%" not in hostile
    summary(results, details)


def test_a_hostile_kind_of_model_does_nothing(few: Json, details: Json) -> None:
    for row in few["rows"]:
        row["model"] += HOSTILE
    _only_ours(Seen(render(*checked(few, details))))


def test_a_hostile_status_is_no_status(few: Json) -> None:
    few["rows"][2]["status"] += HOSTILE
    with pytest.raises(StorageError, match=r"rows\.2\.status"):
        grouped(few)


@pytest.mark.parametrize(
    "change",
    [
        lambda r, d: r.update(rows=[]),
        lambda r, d: r.update(rows=[x for x in r["rows"] if x["method"] != "gold"]),
        lambda r, d: r.update(rows=[x for x in r["rows"] if x["method"] != "original"]),
        lambda r, d: [x.update(scores={}, curve=[], cost={}) for x in r["rows"]],
        lambda r, d: [x["scores"].popitem() for x in r["rows"] if x["scores"]],
        lambda r, d: [p.pop("forget") for x in r["rows"] for p in x["curve"]],
        lambda r, d: (r.update(recipe={"name": ""}), d.clear()),
        lambda r, d: [t.update({"forget.text": [math.inf]}) for t in d["truth_ratios"].values()],
        lambda r, d: [q.update(answers={}) for q in d["questions"]],
        lambda r, d: [t.update({"forget.text": []}) for t in d["truth_ratios"].values()],
    ],
)
def test_gaps_are_no_obstacle(change: Any, few: Json, details: Json) -> None:
    change(few, details)
    _only_ours(Seen(render(*checked(few, details))))
    summary(few, details)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda r: r["rows"][0]["scores"]["all.text.model_utility"].update(value=math.nan),
         r"rows\.0\.scores\.all\.text\.model_utility"),
        (lambda r: r["rows"][4]["curve"][1].update(forget=math.inf), r"rows\.4\.curve\.1\.forget"),
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_refused(change: Any, field: str, few: Json) -> None:
    change(few)
    with pytest.raises(StorageError, match=field):
        grouped(few)


def test_input_is_left_as_it_was(few: Json, details: Json) -> None:
    before = copy.deepcopy((few, details))
    render(*checked(few, details))
    assert json.dumps(before) == json.dumps((few, details))


def test_tables(results: Json) -> None:
    found = grouped(results)
    assert [group.key for group in found[1:3]] == ["vision-language-image", "vision-language-both"]
    rows = main_table(found[2])
    assert [row.name for row in rows[:3]] == ["Gold", "Gold, seed 1", "Original"]
    assert (rows[0].distance, rows[2].distance) == (0.0, pytest.approx(1.0))
    assert rows[-1].outcome == "diverged"
    assert "NPO forgot. Did not: IDK (forget.text.probability fails; and 1 more)" in (
        sentence(found[2])
    )
    assert list(scoreboard(found))[:2] == ["gradient_ascent", "gradient_difference"]


def test_each_share_is_held_against_its_own_gold(few: Json) -> None:
    more = copy.deepcopy([row for row in few["rows"] if row["method"] != "original"])
    for row in more:
        row.update(share=0.5, id=f"{row['id']}-half")
    few["rows"] += more
    small, large = grouped(few)
    assert (small.golds[0].share, large.golds[0].share) == (0.2, 0.5)
    assert small.key != large.key
    assert large.title == "Vision-language · text and faces · share 0.5"
    assert large.original == small.original


def test_ks_distance_by_hand(few: Json, details: Json) -> None:
    (group,) = grouped(few)
    assert group.gold is not None
    run, gold = group.runs[1], group.gold
    for ours, aim, distance in (
        ([1, 2, 3, 4], [1, 2, 3, 4], "0.00"),
        ([1, 2], [3, 4], "1.00"),
        ([1, 2, 3, 4], [3, 4, 5, 6], "0.50"),
    ):
        details["truth_ratios"] = {run.id: {"forget.text": ours}, gold.id: {"forget.text": aim}}
        shown = Details.parse(details, "details")
        assert curves.ks_note(shown, group, run, "text") == f"KS {distance}"


def test_revealed_marks_only_what_the_question_hid() -> None:
    asked = ShownQuestion(
        split="forget", track="text", question="Where was Ada Quill born?",
        truth="Ada Quill was born in Port Lumen.", answers={"a": "Ada Quill: port Lumen, 1970"},
    )  # fmt: skip
    assert revealed(asked, "a") == (("Ada Quill: ", False), ("port Lumen", True), (", 1970", False))


def test_words() -> None:
    assert [label(name) for name in ("npo", "kl_minimization", "gradient_ascent")] == [
        "NPO", "KL minimization", "Gradient ascent",
    ]  # fmt: skip
    assert [seconds(value) for value in (4.25, 75, 7300)] == ["4.2 s", "1 min 15 s", "2.0 h"]
    assert without_paths("no file '/a/b/c.json' in C:\\x\\y.txt") == "no file 'c.json' in y.txt"
    assert without_paths("and/or 1/2 https") == "and/or 1/2 https"
    assert dict(public_facts({"hostname": "h", "a": {"b": 1, "user": "u"}})) == {"a · b": "1"}


def test_methods_are_called_as_their_papers_call_them() -> None:
    names = ("munba", "kl_minimization", "bad_teacher")
    worded = {name: WordedMethod(title=METHODS[name].title()) for name in names}
    called = [method_label(name, Wording(methods=worded)) for name in (*names, "of_somebody")]
    assert called == ["MUNBa", "KL minimization", "Bad teacher", "OF somebody"]


def test_many_failures_are_told_without_their_reasons(few: Json) -> None:
    row = next(row for row in few["rows"] if row["method"] == "idk")
    few["rows"] += [{**row, "id": f"{row['id']}-{k}", "seed": k} for k in range(7)]
    (group,) = grouped(few)
    told = sentence(group)
    _, others = told.split("Did not: ")
    assert others.count("IDK, seed") == 8
    assert "IDK, seed 3 (" not in told
    assert "Diverged: Gradient ascent (the loss on" in told


def test_names_are_not_typeset_as_formulas(few: Json, details: Json) -> None:
    few["rows"][-1]["method"] = r"$\nonsense$"
    assert (
        r"$\nonsense$"
        in render(*checked(few, details)).split('id="tradeoff"')[1].split("</figure>")[0]
    )


def test_only_images_become_images() -> None:
    assert image("/9j/AAAA") == "data:image/jpeg;base64,/9j/AAAA"
    for other in (None, "", "PHN2Zz4=", '/9j/" onerror="x', "javascript:alert(1)"):
        assert image(other) is None


def test_summary_is_plain_text_off_the_terminal(results: Json, details: Json) -> None:
    details["questions"][0]["answers"]["vision-language-kl_minimization-both-0"] = "\x1b[31mred[/b]"
    said = summary(results, details)
    assert "\x1b" not in said
    assert "runs/demo/report.html" in said
    for part in ("Ismael Brandão", "before", "gold", "  forgot: KL minimization  "):
        assert part in said


def test_only_people_with_portraits_have_a_place_among_them(few: Json, details: Json) -> None:
    """Of three forgotten people one has no portrait: it is named in the text, and leaves no gap."""
    first = details["people"]["forget"][0]
    people = [first | {"id": name, "name": name} for name in ("Ada Quill", "Bo Reed", "Cy Dunn")]
    people[1]["portraits"] = []
    details["people"]["forget"] = people
    page = render(*checked(few, details))
    faces = page.partition('<ul class="people">')[2].partition("</ul>")[0]
    assert [name in faces for name in ("Ada Quill", "Bo Reed", "Cy Dunn")] == [True, False, True]
    assert "Ada Quill, Bo Reed and Cy Dunn" in page
    details["people"]["forget"] = people[1:2]
    assert '<ul class="people">' not in render(*checked(few, details))
