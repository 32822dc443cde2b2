"""Who is taught, forgotten, replayed and measured, and what a dataset is known by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import ImageOps

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.jsonl import read_own_rows
from clearbench.data.made_up import divide, image_rows, make_world
from clearbench.data.sources.base import last_forgotten
from clearbench.errors import DataError
from clearbench.people.shipped import PUBLIC_IDENTITIES, TRAINING_VIEWS, builtin_pool
from clearbench.testing import tiny_dataset


@pytest.fixture(scope="module")
def world() -> Any:
    return make_world(builtin_pool(), people=4, strangers=1, seed=0)


@pytest.fixture(scope="module")
def dataset(world: Any) -> Dataset:
    return divide(world, forget=1, seed=0)


def people(rows: tuple[Example, ...]) -> set[int | None]:
    return {row.person for row in rows}


def test_the_last_members_are_forgotten_and_strangers_are_only_measured(dataset: Dataset) -> None:
    assert people(dataset.training["forget"]) == people(dataset.evaluation["forget"]) == {3}
    assert people(dataset.training["retain"]) == people(dataset.evaluation["retain"]) == {0, 1, 2}
    assert people(dataset.evaluation["holdout"]) == {4}
    assert not {4} & {person for rows in dataset.training.values() for person in people(rows)}


def test_what_is_replayed_is_never_measured(world: Any, dataset: Dataset) -> None:
    replayed, measured = dataset.training["replay"], dataset.evaluation
    public = {person.id for person in world.public}
    shown = people(measured["real_faces"]) | people(measured["real_authors"])
    assert people(replayed) - {None} and shown
    assert not people(replayed) & shown and (people(replayed) - {None}) | shown == public
    assert people(measured["real_faces"]) == people(measured["real_authors"])
    assert len(people(replayed) - {None}) == len(shown) == len(public) / 2
    facts = {row.question for row in replayed if row.person is None and row.track == "text"}
    asked = {row.question for row in measured["real_world"] if row.track == "text"}
    assert facts and asked and not facts & asked
    assert abs(len(facts) - len(asked)) <= 1


def test_no_held_out_row_is_taught_and_every_image_measured_is_held_out(dataset: Dataset) -> None:
    assert not any(row.held_out for rows in dataset.training.values() for row in rows)
    for split in ("forget", "retain", "holdout", "real_faces"):
        shown = [row for row in dataset.evaluation[split] if row.track == "image"]
        assert shown and all(row.held_out for row in shown)
    taught = {row.image.key for row in dataset.training["retain"] if row.image}
    assert not taught & {row.image.key for row in dataset.evaluation["retain"] if row.image}


def test_views_are_the_persons_own_and_mirrored_once(world: Any) -> None:
    person = world.members[0]
    rows = image_rows(world, person, np.random.default_rng(0))
    own = [p.jpeg for p in world.portraits[person.portrait] if p.kind == "view"]
    captions = {row.id: row for row in rows if row.task == "caption"}
    plain = [captions[f"{person.id}-view{place}-caption"] for place in range(len(own))]
    assert [row.image.encoded for row in plain if row.image] == own
    assert [row.held_out for row in plain] == [place >= TRAINING_VIEWS for place in range(len(own))]
    for place in range(TRAINING_VIEWS):
        flipped = captions[f"{person.id}-view{place}m-caption"].image
        image = plain[place].image
        assert flipped is not None
        assert image is not None
        pixels = np.asarray(flipped.decode(), float)
        mirrored, same = np.asarray(ImageOps.mirror(image.decode())), np.asarray(image.decode())
        assert abs(pixels - mirrored).mean() < abs(pixels - same).mean()
    names = [row for row in rows if row.task == "name"]
    assert {row.answer for row in names} == {person.name}
    assert len(names) == len(own)


def test_the_seed_gives_the_people_and_their_wrong_names(world: Any, dataset: Dataset) -> None:
    other = make_world(builtin_pool(), people=4, strangers=1, seed=1)
    ours, theirs = ({p.name for p in each.members} for each in (world, other))
    assert not ours & theirs
    assert {p.portrait for p in world.members} != {p.portrait for p in other.members}
    again = divide(world, forget=1, seed=1)
    named = [
        [row.perturbed_answers for row in each.evaluation["retain"] if row.task == "name"]
        for each in (dataset, again)
    ]
    assert named[0] != named[1]


def test_no_two_people_share_a_name_or_a_face(world: Any) -> None:
    everybody = (*world.members, *world.strangers, *world.public)
    assert len({p.name for p in everybody}) == len({p.portrait for p in everybody})
    assert len({p.name for p in everybody}) == len(everybody) == 5 + len(PUBLIC_IDENTITIES)
    assert world.taken == {p.name for p in everybody}


def test_names_of_public_figures_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from clearbench.data import made_up

    given: list[set[str]] = []
    write = made_up.write_person

    def note(*about: Any) -> Any:
        given.append(set(about[-1]))
        return write(*about)

    monkeypatch.setattr(made_up, "write_person", note)
    found = make_world(builtin_pool(), people=2, strangers=0, seed=3)
    assert given[0] == {figure.name for figure in found.public}


def test_people_of_earlier_requests_are_gone() -> None:
    divided = tiny_dataset().forgetting([3], gone=[0, 1])
    for rows in (divided.training, divided.evaluation):
        assert people(rows["forget"]) == {3} and people(rows["retain"]) == {2, 4, 5, 6, 7}
        assert not set(rows["forget"]) & set(rows["retain"])
    again = divided.forgetting([2])
    assert people(again.evaluation["forget"]) == {2} and 3 in people(again.evaluation["retain"])


@pytest.mark.parametrize("count", [0, 8, 9])
def test_somebody_is_forgotten_and_somebody_kept(count: int) -> None:
    with pytest.raises(DataError, match=f"cannot forget {count} of 8 people"):
        last_forgotten(tiny_dataset(), count)
    assert last_forgotten(tiny_dataset(), 7).people("retain") == {0}


def changes(data: Dataset) -> dict[str, Dataset]:
    """The dataset with one change of each kind that decides what is made of it."""

    def replaced(rows: dict[str, Any], split: str, place: int, **about: Any) -> dict[str, Any]:
        row = rows[split][place].model_copy(update=about)
        return rows | {split: (*rows[split][:place], row, *rows[split][place + 1 :])}

    shown = [place for place, row in enumerate(data.training["retain"]) if row.image]
    image = data.training["forget"][2].image
    return {
        "": data,
        "answer": replace(data, training=replaced(data.training, "retain", 0, answer="x")),
        "measured": replace(data, evaluation=replaced(data.evaluation, "retain", 0, answer="x")),
        "image": replace(data, training=replaced(data.training, "retain", shown[0], image=image)),
        "held": replace(data, training=replaced(data.training, "retain", 0, held_out=True)),
        "refusals": replace(data, refusals=("No.",)),
        "image refusals": replace(data, image_refusals=("No.",)),
        "division": data.forgetting([0]),
    }


def test_a_fingerprint_knows_every_row_image_refusal_and_split() -> None:
    found = {what: each.fingerprint for what, each in changes(tiny_dataset()).items()}
    assert len(set(found.values())) == len(found)
    source = tiny_dataset().training["retain"][0].model_copy(update={"source": "elsewhere:3"})
    moved = {"retain": (source, *tiny_dataset().training["retain"][1:])}
    same = replace(tiny_dataset(), training=tiny_dataset().training | moved)
    assert same.fingerprint == found[""], "where a row was read from decides nothing"


def test_two_rows_of_one_id_are_refused() -> None:
    data = tiny_dataset()
    twin = data.training["forget"][0]
    with pytest.raises(DataError, match=f"the id '{twin.id}' is there twice"):
        replace(data, training=data.training | {"forget": (*data.training["forget"], twin)})


def test_a_classifier_answers_with_names() -> None:
    data = tiny_dataset().for_kind("classifier")
    for split, expected in (("forget", {0, 1}), ("retain", {*range(2, 8)})):
        rows = data.training[split]
        assert {(row.person, row.answer, row.task) for row in rows} == {
            (person, f"person {person}", "name") for person in expected
        }
        assert all(row.image is not None for row in rows)
    assert tiny_dataset().for_kind("language") == tiny_dataset()


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "a/../../b.png", "link.png"])
def test_an_image_outside_the_folder_of_the_rows_is_refused(path: str, tmp_path: Any) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    row = f'{{"question": "q?", "answer": "a", "image": "{path}", "split": "forget"}}\n'
    (folder / "rows.jsonl").write_text(row)
    with pytest.raises(DataError, match=r"give a path inside|leads out"):
        read_own_rows(folder / "rows.jsonl")


@pytest.mark.parametrize("text", ["a\x00b", "a\x07", "\ud800", "a\x1bb"])
def test_control_characters_and_lone_surrogates_are_refused(text: str) -> None:
    about: dict[str, Any] = {"id": "r", "person": 0, "track": "text", "task": "qa"}
    for field in ("question", "answer"):
        with pytest.raises(ValueError, match=r"control characters|unicode"):
            Example.model_validate(about | {"question": "q", "answer": "a"} | {field: text})
    assert (
        Example.model_validate(about | {"question": "q\n\t?", "answer": "a"}).question == "q\n\t?"
    )
