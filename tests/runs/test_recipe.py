"""Recipes: every shipped one is valid, and a wrong one says all that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clearbench.errors import RecipeError
from clearbench.runs.recipe import Recipe, dump_recipe, load_recipe, parse_recipe
from clearbench.runs.recipe_file import builtin_recipes

PLAIN: dict[str, Any] = {
    "name": "plain",
    "data": {"people": 6, "strangers": 2, "forget": 2},
    "models": {"language": {"teach": {"steps": 4, "parts": ["language"]}}},
    "runs": [{"method": "npo", "model": "language", "modality": "text"}],
}


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_recipes_ship() -> None:
    assert "demo" in builtin_recipes()


@pytest.mark.parametrize("name", list(builtin_recipes()))
def test_every_shipped_recipe_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    golds = [part.golds for part in recipe.models.values()]
    assert recipe.title and (recipe.runs or min(golds) > 1)
    assert builtin_recipes()[name].read_text().startswith("#"), "it opens by saying how to run it"


@pytest.mark.parametrize("name", [*builtin_recipes(), "plain"])
def test_the_resolved_recipe_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    first = load_recipe(name) if name != "plain" else parse_recipe(PLAIN, "test")
    again = load_recipe(written(tmp_path, dump_recipe(first)))
    assert again == first and again.identity == first.identity
    assert dump_recipe(again) == dump_recipe(first)


def test_identity_is_what_decides_the_numbers() -> None:
    recipe = parse_recipe(PLAIN, "test")
    told = parse_recipe(PLAIN | {"title": "T", "description": "D"}, "test")
    assert told.identity == recipe.identity
    for change in ("seed=1", "data.people=7", "runs.0.train.steps=3", "evaluation.limit=5"):
        content = yaml.safe_load(dump_recipe(recipe))
        place: Any = content
        *path, last = change.partition("=")[0].split(".")
        for part in path:
            place = place[int(part) if part.isdigit() else part]
        place[last] = int(change.partition("=")[2])
        assert parse_recipe(content, "test").identity != recipe.identity, change


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("modles", "unknown key 'modles'; did you mean 'models'"),
        ("data.peopel", "unknown key 'data.peopel'; did you mean 'people'"),
        ("models.language.teach.step", "did you mean 'steps'"),
        ("runs.0.methd", "did you mean 'method'"),
        ("runs.0.hyperparameters.betta", "did you mean 'beta'"),
        ("evaluation.protocl", "did you mean 'protocol'"),
    ],
)
def test_unknown_keys_get_a_hint(key: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, PLAIN), [f"{key}=3"])
    assert hint in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    bad = PLAIN | {
        "modles": {},
        "seed": -1,
        "runs": [
            {"method": "npo", "model": "language", "hyperparameters": {"beta": -1}},
            {"method": "npoo"},
            {"method": "idk", "model": "classifier"},
        ],
    }
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, bad))
    said = str(caught.value)
    for part in ("'modles'", "'seed' = -1", "'beta' = -1", "unknown method 'npoo'",
                 "idk does not work on the model 'classifier'"):  # fmt: skip
        assert part in said, (part, said)
    assert str(tmp_path / "recipe.yaml") in said


def test_a_run_on_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no model 'classifier' in this recipe"):
        load_recipe(written(tmp_path, PLAIN), ["runs.0.model=classifier", "runs.0.modality=image"])


def test_changes_reach_everywhere(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    changes = [
        "seed=3",
        "data.people=9",
        "runs.0.hyperparameters.beta=0.5",
        "runs.0.train.steps=3",
        "runs.0.train.parts=[language]",
        "models.language.teach.penalty={strength: 0.1, on: theta}",
    ]
    recipe = load_recipe(path, changes)
    assert (recipe.seed, recipe.data.people) == (3, 9)
    assert recipe.runs[0].hyperparameters == {"beta": 0.5}
    assert recipe.runs[0].train.parts == ("language",)
    penalty = recipe.models["language"].teach.penalty
    assert penalty is not None and (penalty.strength, penalty.on) == (0.1, "theta")


@pytest.mark.parametrize(
    "change",
    ["seed", "runs.9.method=npo", "runs.first.method=npo", "name.sub=1",
     "seed=!!python/object/apply:os.getpid []", "seed={"],
)  # fmt: skip
def test_changes_that_cannot_be_made_are_named(change: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, PLAIN), [change])
    assert change.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!x"]
)
def test_tags_are_refused_and_run_nothing(tag: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = f"name: {tag} ['touch {mark}']\nmodels: {{}}\n"
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(written(tmp_path, text))
    assert not mark.exists()


@pytest.mark.parametrize("text", ["", "[]", "text", "a: [", "\x00"])
def test_files_that_are_no_recipe_are_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, text))
    assert "recipe.yaml" in str(caught.value)


def test_no_recipe_is_named_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="did you mean 'demo'"):
        load_recipe("demoo")


def test_one_modality_or_several() -> None:
    recipe: Recipe = parse_recipe(PLAIN, "test")
    assert recipe.runs[0].modalities == ("text",)
    models = {"vision-language": {"teach": {"steps": 4}}}
    several = PLAIN | {
        "models": models, "runs": [{"method": "npo", "modality": ["text", "both"]}]
    }  # fmt: skip
    assert parse_recipe(several, "test").runs[0].modalities == ("text", "both")


def test_a_language_model_has_no_faces_to_forget() -> None:
    runs = [{"method": "npo", "model": "language", "modality": "image"}]
    with pytest.raises(RecipeError, match="a language model cannot forget 'image'; it can: text"):
        parse_recipe(PLAIN | {"runs": runs}, "here")


def test_a_change_to_one_run_changes_no_other(tmp_path: Path) -> None:
    """YAML's anchors give several runs the same part, which is then one object."""
    text = """
name: shared
models: {language: {teach: {steps: 4, parts: [language]}}}
runs:
  - &first {method: npo, model: language, modality: text, train: &train {steps: 4}}
  - {method: idk, model: language, modality: text, train: *train}
  - *first
"""
    recipe = load_recipe(written(tmp_path, text), ["runs.0.train.steps=7", "runs.2.method=simnpo"])
    assert [run.train.steps for run in recipe.runs] == [7, 4, 4]
    assert [run.method for run in recipe.runs] == ["npo", "idk", "simnpo"]


@pytest.mark.parametrize("text", ["[" * 2000, "{a: " * 2000])
def test_a_recipe_that_is_nested_too_deeply_is_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nested too deeply|not valid YAML"):
        load_recipe(written(tmp_path, text))


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("name: a\ndata:\n  people: 4\n  people: 6\n")
    with pytest.raises(RecipeError, match="'people' is there twice") as caught:
        load_recipe(path)
    assert caught.value.where == f"{path}:3"
