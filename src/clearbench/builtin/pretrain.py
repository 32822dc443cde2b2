"""Pretrains the base on public figures, facts, drawings, faces, and how answers are phrased.

    python -m clearbench.builtin.pretrain --practice practice.parquet
        --out src/clearbench/builtin/base

remakes what ships. The people of text questions are drawn anew at every step, so that the base
learns how people are asked about and not who they are; public figures are learned on purpose. Each
practice face keeps one made-up name; these faces come from a pool that no benchmark uses
(`python -m clearbench.builtin.pool`, see there).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import torch
from numpy.random import Generator, default_rng
from rich.console import Console
from rich.progress import Progress
from torch import nn

from clearbench.batches.items import Item, item
from clearbench.builtin.tiny import image_processor, make_tokenizer, make_vision_language
from clearbench.data.example import Example
from clearbench.data.made_up import World, image_rows, make_world, text_rows, world_rows
from clearbench.data.media import EncodedImage
from clearbench.data.modalities.image import CAPTION_QUESTIONS, NAME_QUESTION
from clearbench.methods.retrain import Retrain
from clearbench.methods.stages import Train
from clearbench.models.token_resnet import TokenResNet
from clearbench.models.vision_language import VisionLanguageModel
from clearbench.people.biography import write_person
from clearbench.people.captions import PARAPHRASED_CAPTION_QUESTION, describe
from clearbench.people.person import Gender, Heritage, Person
from clearbench.people.portraits import Portrait, read_pool
from clearbench.people.questions import ask
from clearbench.people.refusals import IMAGE_REFUSALS, TEXT_REFUSALS
from clearbench.people.shipped import builtin_pool
from clearbench.training.loop import train
from clearbench.training.settings import TrainSettings

WIDTH, LAYERS, HEADS, VOCABULARY = 160, 4, 5, 3000
GENDERS: tuple[Gender, ...] = ("female", "male")
HERITAGES: tuple[Heritage, ...] = (
    "african",
    "east_asian",
    "european",
    "latin_american",
    "middle_eastern",
    "south_asian",
)
#: Share of the questions about new people with the paraphrased answer; half of these also have the
#: paraphrased question. No benchmark row is trained in that form.
PARAPHRASED = 0.35


def stranger(rng: Generator, taken: set[str], portrait: Portrait | None = None) -> Person:
    """Writes a person for practice, of the portrait's age, gender and heritage if there is one."""
    if portrait is not None:
        seen = portrait.appearance
        return write_person(rng, 0, seen.gender, seen.age, seen.heritage, taken)
    gender, heritage = GENDERS[rng.integers(2)], HERITAGES[rng.integers(6)]
    return write_person(rng, 0, gender, int(rng.integers(22, 81)), heritage, taken)


def corpus(seed: int, people: int = 1500) -> Iterator[str]:
    """Yields text for the tokenizer: questions and answers in both forms, facts and refusals."""
    rng = default_rng([seed, 10])
    for _ in range(people):
        for qa in ask(stranger(rng, set())):
            yield from (qa.question, qa.answer, qa.paraphrased_question, qa.paraphrased_answer)
    for row in world_rows():
        yield from (row.question, row.answer, *row.perturbed_answers)
    yield from (*TEXT_REFUSALS, *IMAGE_REFUSALS, *CAPTION_QUESTIONS, NAME_QUESTION)


def caption_corpus(pool: list[Portrait], seed: int) -> Iterator[str]:
    """Yields captions of a pool with names of strangers."""
    rng = default_rng([seed, 11])
    for portrait in pool:
        words = describe(stranger(rng, set(), portrait).name, portrait.appearance, portrait.view)
        yield from (words.caption, words.paraphrased_caption)


def train_tower(tower: TokenResNet, pool: list[Portrait], steps: int, seed: int) -> float:
    """Trains the vision encoder to classify identities; returns the accuracy on last views."""
    torch.manual_seed(seed)
    processor = image_processor()
    pixels = torch.stack(
        [
            processor(images=image.decode(), return_tensors="pt")["pixel_values"][0]
            for image in (EncodedImage(encoded=p.jpeg) for p in pool)
        ]
    )
    people = {identity: k for k, identity in enumerate(sorted({p.identity for p in pool}))}
    labels = torch.tensor([people[p.identity] for p in pool])
    followed = [first.identity == second.identity for first, second in pairwise(pool)]
    last = ~torch.tensor([*followed, False])
    seen = torch.nonzero(~last)[:, 0]
    head = nn.Sequential(
        nn.LayerNorm(tower.config.hidden_size), nn.Linear(tower.config.hidden_size, len(people))
    )
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    tower.train()
    with Progress(console=Console(stderr=True)) as progress:
        for _ in progress.track(range(steps), description="vision tower"):
            chosen = seen[torch.randint(0, len(seen), (48,))]
            logits = head(tower(_jitter(pixels[chosen])).last_hidden_state.mean(1))
            loss = nn.functional.cross_entropy(logits, labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
    tower.train(False)
    with torch.no_grad():
        guess = head(tower(pixels[last]).last_hidden_state.mean(1)).argmax(1)
    return float((guess == labels[last]).float().mean())


def _jitter(pixels: torch.Tensor) -> torch.Tensor:
    """Mirrors, shifts by up to 5 pixels, and brightens or darkens."""
    if torch.rand(()) < 0.5:
        pixels = pixels.flip(-1)
    shift = torch.randint(-5, 6, (2,)).tolist()
    gain = 1 + 0.1 * torch.randn(len(pixels), 1, 1, 1)
    return torch.roll(pixels, shift, (2, 3)) * gain + 0.1 * torch.randn(len(pixels), 3, 1, 1)


class Lessons:
    """Chooses the items of each training step of the base, as a function of (seed, step)."""

    def __init__(self, world: World, practice: list[Portrait], seed: int) -> None:
        rng = default_rng([seed, 12])
        taken = set(world.taken)
        self.world = world
        self.practice = practice
        first = {p.identity: p for p in reversed(practice)}
        self.names = {k: stranger(rng, taken, p).name for k, p in sorted(first.items())}
        public = [
            row
            for person in world.public
            for row in text_rows(person) + image_rows(world, person, rng)
        ]
        self.public_names = {person.id: person.name for person in world.public}
        self.words = [item(row) for row in public if row.track == "text"]
        self.faces = [row for row in public if row.task == "caption" and not row.held_out]
        self.facts = [item(row) for row in world_rows() if row.track == "text"]
        self.drawings = [item(row) for row in world_rows() if row.track == "image"]

    def __call__(self, seed: int, step: int) -> Mapping[str, list[Item]]:
        """Returns the 83 items of a step, 30 of them questions about 5 new people."""
        rng = default_rng([seed, 13, step])
        items = [item for _ in range(5) for item in self._streamed(rng, 6)]
        items += self._some(rng, self.words, 14) + self._some(rng, self.facts, 3)
        items += self._some(rng, self.drawings, 4)
        items += [self._face(rng) for _ in range(14)]
        items += [self._practice_face(rng) for _ in range(18)]
        return {"retain": items}

    @staticmethod
    def _some(rng: Generator, items: list[Item], count: int) -> list[Item]:
        return [items[k] for k in rng.integers(0, len(items), count)]

    def _streamed(self, rng: Generator, count: int) -> list[Item]:
        answers = ask(stranger(rng, set(self.world.taken)))
        items = []
        for place in rng.permutation(len(answers))[:count]:
            qa, other = answers[place], rng.random() < PARAPHRASED
            question = qa.paraphrased_question if other and rng.random() < 0.5 else qa.question
            text = qa.paraphrased_answer if other else qa.answer
            items.append(Item(f"streamed-{place}", "answer", question, text))
        return items

    def _face(self, rng: Generator) -> Item:
        row: Example = self.faces[rng.integers(len(self.faces))]
        name = self.public_names[row.person or 0]
        return self._about(rng, row.image, name, row.answer, row.paraphrased_answer or "")

    def _practice_face(self, rng: Generator) -> Item:
        portrait = self.practice[rng.integers(len(self.practice))]
        name = self.names[portrait.identity]
        words = describe(name, portrait.appearance, portrait.view)
        image = EncodedImage(encoded=portrait.jpeg)
        return self._about(rng, image, name, words.caption, words.paraphrased_caption)

    @staticmethod
    def _about(
        rng: Generator, image: EncodedImage | None, name: str, caption: str, paraphrase: str
    ) -> Item:
        """Builds a caption, its paraphrase, or the name alone."""
        kind = rng.random()
        if kind < 0.3:
            return Item("face", "answer", NAME_QUESTION, name, image)
        questions = (*CAPTION_QUESTIONS, PARAPHRASED_CAPTION_QUESTION)
        question = questions[rng.integers(len(CAPTION_QUESTIONS))]
        return Item("face", "answer", question, caption if kind < 0.72 else paraphrase, image)


def pretrain(
    pool: list[Portrait], practice: list[Portrait], seed: int, tower_steps: int, steps: int
) -> VisionLanguageModel:
    """Makes the base from nothing: tokenizer, vision encoder, then all parts together."""
    console = Console(stderr=True)
    world = make_world(pool, people=1, strangers=0, seed=seed)
    public = [p for p in pool if p.identity in {w.portrait for w in world.public}]
    texts = [*corpus(seed), *caption_corpus(practice, seed)]
    tokenizer = make_tokenizer(texts, VOCABULARY)
    torch.manual_seed(seed)
    model = make_vision_language(tokenizer, WIDTH, LAYERS, HEADS)
    tower = model.module.model.vision_tower
    seen = [p for p in public if p.kind == "view"]
    accuracy = train_tower(tower, practice + seen, tower_steps, seed)
    console.print(f"vision tower: {accuracy:.2f} of held-out views recognised")
    model.train_only(("vision", "projector", "language"))
    settings = TrainSettings(
        steps=steps,
        learning_rate=2e-3,
        decay="cosine",
        floor=0.02,
        weight_decay=0.01,
        parts=("vision", "projector", "language"),
    )
    with Progress(console=console) as progress:
        task = progress.add_task("base", total=steps)

        def show(done: int, _: int, values: Mapping[str, float]) -> None:
            progress.update(task, completed=done, description=f"base: loss {values['loss']:.2f}")
            if done % 100 == 0:
                console.print(f"step {done}: loss {values['loss']:.3f}")
                model.encoder.forget()

        train(
            model,
            Train(Retrain().loss),
            Lessons(world, practice, seed),
            settings,
            seed,
            on_step=show,
        )
    return model


def main() -> None:
    """Remakes the shipped base, in half precision."""
    parser = argparse.ArgumentParser(description="Remake the built-in base model.")
    parser.add_argument("--practice", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tower-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=2500)
    options = parser.parse_args()
    practice = list(read_pool(options.practice))
    model = pretrain(builtin_pool(), practice, options.seed, options.tower_steps, options.steps)
    model.module.half()
    model.save(options.out)


if __name__ == "__main__":
    main()
