# ruff: noqa: RUF001, E501 - letters of other scripts that look like ASCII are tested
"""Words, ROUGE, garbage and refusals in any script; English in ASCII is read as before."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clearbench.data.words import joined, letters, pieces, symbols, words
from clearbench.evaluation.metrics.bleu import bleu
from clearbench.evaluation.metrics.keywords import blanked, keywords
from clearbench.evaluation.metrics.outputs import kind_of_output
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evaluation.protocols import protocols
from clearbench.evaluation.refusals import PHRASES
from clearbench.evaluation.wordings import vocabulary
from clearbench.testing import tiny_dataset
from clearbench.testing.records import value

#: A plain sentence by script or language.
SENTENCES = {
    "chinese": "王小明出生于北京。",
    "traditional": "他的爸爸媽媽都是老師，哥哥是醫生。",
    "japanese": "彼女は１９５２年に東京で生まれたサッカー選手です。",
    "korean": "그는 서울에서 태어났습니다.",
    "thai": "เขาเกิดที่กรุงเทพมหานครในปี ๑๙๕๒",
    "lao": "ລາວເກີດຢູ່ນະຄອນຫຼວງວຽງຈັນ",
    "burmese": "ပုသိမ်မြို့တွင် မွေးဖွားခဲ့သည်။",
    "khmer": "គាត់កើតនៅភ្នំពេញ។",
    "tibetan": "ཁོང་ལྷ་སར་འཁྲུངས།",
    "hindi": "वह धीरे धीरे चलती है और बार बार लिखती रहती है।",
    "bengali": "তিনি ঢাকায় জন্মগ্রহণ করেন।",
    "tamil": "தமிழ் எழுத்தாளர் சென்னையில் பிறந்தார்",
    "telugu": "ఆయన హైదరాబాదులో జన్మించారు.",
    "malayalam": "അദ്ദേഹം കൊച്ചിയിൽ ജനിച്ചു.",
    "arabic": "وُلِدَ الكاتب فِي القَاهِرَة عام ١٩٥٢.",
    "persian": "او در تهران به دنیا می‌آید.",
    "hebrew": "הוא נולד בתל אביב.",
    "russian": "Она родилась в Осло в 1952 году.",
    "greek": "Γεννήθηκε στην Αθήνα.",
    "armenian": "Նա ծնվել է Երևանում։",
    "georgian": "იგი დაიბადა თბილისში.",
    "amharic": "በአዲስ አበባ ተወለደ።",
    "vietnamese": "Cô ấy sinh ra ở Hà Nội.",
    "turkish": "İstanbul'da doğdu, Işık Lisesi'nde okudu.",
    "german": "Er wohnt in der Großen Straße.",
    "french": "Elle est née à l’Haÿ-les-Roses.",
}  # fmt: skip
FORMS = ("NFC", "NFD", "NFKC", "NFKD")


@pytest.mark.parametrize("name", SENTENCES)
def test_a_true_answer_is_itself_in_every_script(name: str) -> None:
    truth = SENTENCES[name]
    assert kind_of_output(truth) == "answer"
    for form in FORMS:
        said = unicodedata.normalize(form, truth)
        assert set(rouge(truth, said).values()) == {1.0}, form
        assert words(said) == words(truth) and bleu(truth, said) == bleu(truth, truth)
        assert kind_of_output(said) == "answer"
    assert rouge(truth, "It is not known.")["rouge_l"] == 0.0


@pytest.mark.parametrize("truth", ["?", "...", "🙂", "👨‍👩‍👧", "—", "½", "٪"])
def test_a_truth_without_words_is_compared_by_its_symbols(truth: str) -> None:
    assert rouge(truth, truth)["rouge_l"] == rouge(truth, f"\n{truth} ")["rouge_l_f1"] == 1.0
    assert rouge(truth, "x")["rouge_l"] == 0.0


#: Spellings of the same words.
SAME = [
    ("I don't know", "I don’t know"),
    ("I don't know", "I donʼt know"),
    ("I don't know", "I don＇t know"),
    ("the author", "ＴＨＥ ａｕｔｈｏｒ"),
    ("the author", "the\u00a0author"),
    ("the author", "the\u3000author"),
    ("author", "au\u00adthor"),
    ("author", "au\u200dthor"),
    ("well-kept", "well\u2011kept"),
    ("foo bar", "foo\u200bbar"),
    ("ガンダム", "ｶﾞﾝﾀﾞﾑ"),
    ("محمد", "محـــمد"),
    ("می‌خواهم", "میخواهم"),
    ("1952", "१९५२"),
    ("1952", "١٩٥٢"),
    ("1952", "１９５２"),
    ("Straße", "STRASSE"),
    ("ΑΘΗΝΑ", "αθηνα"),
    ("한국어", unicodedata.normalize("NFD", "한국어")),
    ("Việt", unicodedata.normalize("NFD", "VIỆT")),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_spellings_of_one_word_are_equal(first: str, second: str) -> None:
    assert words(first) == words(second) and joined(first) == joined(second)
    assert rouge(first, second)["rouge_l_f1"] == rouge(second, first)["rouge_l_f1"] == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [("Hà", "Hạ"), ("Ha", "Hà"), ("Nuñez", "Nunez"), ("Işık", "Isik"), ("กา", "ก่า"),
     ("तार", "तीर"), ("は", "ば"), ("ح", "خ"), ("й", "и"), ("שׁם", "שׂם")],
)  # fmt: skip
def test_marks_tell_names_apart(one: str, other: str) -> None:
    """A face that is answered with another name's marks is not named, in any form."""
    for form in FORMS[:2]:
        said = unicodedata.normalize(form, other)
        assert words(one) != words(said)
        assert value("name_said", task="name", said=(one, said)) == 0.0
        assert value("name_said", task="name", said=(one, unicodedata.normalize(form, one))) == 1.0


def test_words_by_hand() -> None:
    assert words("Q2: the km2_of o'clock") == ["q2", "the", "km2", "of", "o", "clock"]
    assert joined("o'clock, well-kept") == ["o'clock", "well-kept"]
    assert pieces("km2") == ["km", "2"] and letters("km2 for 3") == ["km", "for"]
    assert words("于1952年") == ["于", "1952", "年"]
    assert words("தமிழ் எழுத்து") == ["தமிழ்", "எழுத்து"]
    assert words("กำลัง") == words("กํ" + "าลัง") == ["กํ", "า", "ลั", "ง"]


def test_part_of_a_chinese_answer_is_part_of_its_score() -> None:
    """Five of eight characters, in order."""
    assert rouge("王小明出生于北京。", "他出生于北京")["rouge_l"] == 5 / 8
    assert rouge("王小明出生于北京。", "他出生于北京")["rouge_l_f1"] == pytest.approx(10 / 14)


def test_publications_keep_their_scorer() -> None:
    """`rouge-score` finds no word in Chinese and two in `García`; their protocols say so, too."""
    assert rouge("王小明", "王小明", published=True)["rouge_l"] == 0.0
    assert rouge("García", "Garca", published=True)["rouge_l"] == 0.0
    assert rouge("García", "garc", published=True)["rouge_l"] == 0.5
    for name, chosen in protocols().items():
        own = [made for made in chosen.metrics() if hasattr(made, "published")]
        assert own, name
        for made in own:
            assert made.published == (name != "clear")
            assert "published" not in made.score_key


GARBAGE = [
    "的的的的的的的", "北京北京北京北京", "のののの", "กกกกกก", "ततततततत", "ஆஆஆஆஆ", "হাহাহাহাহা", "가가가가가가",
    "ааааааа", "нет нет нет нет", "не не да да", "ههههههه", "מממממ", "γγγγγ", "🙂🙂🙂", "🙂", "★☆★☆★",
    "%% ٪٪ ‰‰", "\ufffd\ufffd\ufffd", "一个一个一个一个",
]  # fmt: skip


@pytest.mark.parametrize("text", GARBAGE)
def test_repetition_is_garbage_in_every_script(text: str) -> None:
    assert kind_of_output(text) == "garbage"


@pytest.mark.parametrize(
    "text", ["", "\n", "。。。", "…", "？！", "؟", "।", "\u200b", "\u00a0", "¿?"]
)
def test_nothing_said_is_empty_in_every_script(text: str) -> None:
    assert kind_of_output(text) == "empty"


REFUSALS = [
    "I don’t know who that is.", "I canʼt identify people.", "I\u00a0do not know", "I do\nnot know",
    '"I don\'t know."', "“I don’t know.”", "**I don't know.**", "\nI do not know.", "Ｉ ｄｏ ｎｏｔ know",
    "I haven't learned about that topic.", "As an AI, I am unable to say.",
    "我不知道。", "这个问题我不清楚。", "抱歉，我没有相关信息。", "對不起，我無法回答。", "その質問の答えはわかりません。",
    "申し訳ありませんが、お答えできません。", "이 사람이 누구인지 모르겠습니다.", "ฉันไม่ทราบค่ะ", "Tôi không biết.",
    "Saya tidak tahu.", "मुझे नहीं पता।", "मुझे इस व्यक्ति के बारे में कोई जानकारी नहीं है।", "আমি জানি না।",
    "எனக்குத் தெரியாது.", "مجھے نہیں معلوم", "لا أعرف.", "عُذْرًا، لا أعلم", "نمی‌دانم", "אני לא יודעת",
    "Я не знаю.", "К сожалению, я не знаю.", "Я НЕ ЗНАЮ", "Не знаю", "Не маю? На жаль, я не знаю.",
    "Nie wiem.", "Nevím.", "Δεν γνωρίζω.", "Bu kişiyi bilmiyorum.", "Maalesef, bilmiyorum",
    "No lo sé.", "Lo siento, no tengo esa información.", "Je ne sais pas.", "Désolé, je ne peux pas.",
    "Malheureusement, je n’en sais rien.", "Ich weiß es nicht.", "Leider, ich weiss nicht",
    "Eu não sei.", "Non lo so.", "Ik weet het niet.", "Jag vet inte.", "Nem tudom.", "Nu știu.",
    "Sijui.",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_found(text: str) -> None:
    assert kind_of_output(text) == "refusal"
    assert kind_of_output(unicodedata.normalize("NFD", text)) == "refusal"


@pytest.mark.parametrize(
    "text",
    ["She said 'I don't know' when she was asked.", 'Her novel "I Am Not Here" won a prize.',
     "Her novel “I’m Not Sorry” won.", "Sa devise était « Je ne sais pas », dit-elle.",
     "Non soltanto scrittore, ma pittore.", "他说他不知道自己的父亲。", "Она не знает отца.",
     "他回答说：“我不知道。”", "「わかりません」と彼女は答えた。", "Она сказала: «Я не знаю».",
     "Él escribió que no sé qué pasó.", "**Oslo**", "`Oslo`"],
)  # fmt: skip
def test_an_answer_may_speak_of_not_knowing(text: str) -> None:
    assert kind_of_output(text) == "answer"


def test_what_the_truth_says_itself_is_no_refusal() -> None:
    truth = "Her motto: I never give up."
    assert kind_of_output("Her motto is: I never give up.") == "refusal"
    assert kind_of_output("Her motto is: I never give up.", truth=truth) == "answer"
    assert kind_of_output("I am not sure.", truth=truth) == "refusal"
    row: dict[str, Any] = {"said": (truth, truth)}
    assert value("refusal_rate", **row) == 0.0
    assert value("refusal_rate", said=(truth, "I’m not sure.")) == 1.0


def test_numbers_are_keywords_in_scripts_without_capitals() -> None:
    assert keywords("王小明于1952年出生于北京。", "他何时出生？") == ["1952"]
    assert keywords("Она родилась в Осло в 1952.", "Где?") == ["осло", "1952"]
    assert blanked("Она родилась в Осло.", "Где?") == ("Она родилась в ____.", "Осло")
    assert value("cloze", task="cloze", said=("Осло", "В ОСЛО.")) == 1.0
    assert value("keyword_match", said=("It is in O’Hara’s Łódź.", "o'hara's ŁÓDŹ")) == 1.0


def test_english_phrases_beyond_the_plainest_cannot_come_from_the_built_in_world() -> None:
    known = vocabulary(tiny_dataset())
    assert not [phrase for phrase in PHRASES["en"] if set(letters(phrase)) <= known]
    assert len(PHRASES) >= 25 and all(map(len, PHRASES.values()))


def test_any_characters_can_be_read() -> None:
    """Whatever a broken model says is classified, and a text with anything visible is itself."""
    drawn = np.random.default_rng(0)
    known = (c for c in map(chr, range(32, 0x11000)) if unicodedata.category(c) != "Cs")
    characters = np.array(list(known))
    for _ in range(300):
        text = "".join(drawn.choice(characters, drawn.integers(0, 13)))
        assert kind_of_output(text) in ("answer", "garbage", "empty", "refusal")
        assert rouge(text, text)["rouge_l"] == float(bool(symbols(text)))
        assert all(words(unicodedata.normalize(form, text)) == words(text) for form in FORMS[:2])


def test_tofus_refusals(oracles: Path) -> None:
    """97 of 100; the other three say that something is a mystery or outside a field."""
    lines = (oracles.parent / "tofu" / "idontknow.jsonl").read_text().splitlines()
    texts = [line.strip() for line in lines if line.strip()]
    assert len(texts) == 100
    assert sum(kind_of_output(text) == "refusal" for text in texts) == 97
    curly = [text.replace("'", "’") for text in texts]
    assert [kind_of_output(text) for text in curly] == [kind_of_output(text) for text in texts]


def test_true_answers_of_tofu_are_answers(oracles: Path) -> None:
    rows = map(json.loads, (oracles.parent / "tofu" / "full.jsonl").read_text().splitlines()[::8])
    kinds = [kind_of_output(row["answer"], truth=row["answer"]) for row in rows]
    assert set(kinds) == {"answer"} and len(kinds) == 500


@pytest.mark.parametrize("text", ["\U0001f600", "C++, C# and F#!", "ha ha ha ha", "?!"])
def test_what_is_the_truth_is_an_answer_whatever_it_looks_like(text: str) -> None:
    assert kind_of_output(text, truth=text) == "answer"
    assert kind_of_output(text, truth="Ana") != "answer"


@pytest.mark.parametrize("text", ["I dont know", "I can`t help", "I couldn't say", "I cant tell"])
def test_refusals_without_their_apostrophe(text: str) -> None:
    assert kind_of_output(text) == "refusal"


def test_capitals_of_turkish_are_the_same_letters() -> None:
    small, capital = "\u0131\u015f\u0131k istanbul", "I\u015eIK \u0130STANBUL"
    assert rouge(small, capital)["rouge_l"] == 1


def test_an_inverted_mark_opens_a_sentence() -> None:
    assert keywords("Se llama Ana. \u00bfEs Lima?", "Quien?") == ["ana", "lima"]
