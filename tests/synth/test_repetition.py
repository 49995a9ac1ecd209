from __future__ import annotations

import random

import pytest
from tests.patience import ends_in_time

from scale_reasoning.synth.repetition import find_repetition

WORDS = "we then see that both sides must be even so let us write the sum once more and compare each term with its root"


def prose(words: int, seed: int = 0) -> str:
    """Words in an order that does not repeat itself."""
    return " ".join(random.Random(seed).choices(WORDS.split(), k=words))


SEARCH = "\n".join(
    f"For n = {n}: {n}^2 + 1 = {n * n + 1}, and that mod {n + 7} is {(n * n + 1) % (n + 7)}, so this is no solution."
    for n in range(1, 120)
)
EQUATION = r"$x^2 + y^2 + z^2 - xy - yz - zx = \frac{1}{2}((x-y)^2 + (y-z)^2 + (z-x)^2)$"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{prose(300)} {'Wait, let me see. ' * 23} {prose(300, 1)}", "the 4 words 'Wait, let me see' repeat 23 times"),
        (
            prose(300) + " The final answer is equal to 4.\n" * 4,
            "the 7 words 'The final answer is equal to 4' repeat 4",
        ),
        ("\n".join([prose(40)] * 30), "the 40 words"),
        (" ".join([prose(700)] * 7), "the 700 words"),
        (prose(500) + "ha" * 400, "'hahahaha' repeats"),
        (f"{prose(500)} {chr(0x5BF9) * 400}", "repeats 50 times in a row"),
        (f"{prose(50)} {'!' * 700} {prose(50)}", "702 characters in a row without a letter or a digit"),
        (" ".join(f"Step {n}: I add both sides once more and look at the sum." for n in range(40)), "of it had"),
        ("\n".join(prose(30, n % 3) for n in range(60)), "times in a row"),
        (
            "\n".join(prose(30, random.Random(n).randrange(4)) for n in range(60)),
            "of it had appeared 3 times before",
        ),
    ],
)
def test_a_loop_is_found_with_its_figures(text: str, told: str):
    found = find_repetition(text)
    assert found is not None
    assert told in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\\boxed{4}",
        prose(3_000),
        SEARCH,
        "\n\n".join(f"{prose(120, n)}\n\nSo {EQUATION}, as before." for n in range(30)),
        "\n\n".join(f"Wait, let me double-check that.\n\n{prose(60, n)}" for n in range(60)),
        "\n\n".join(f"### Step {n}: {prose(40)}\n\n{prose(150, n)}" for n in range(1, 9)),
        r"\begin{pmatrix}" + (" & ".join("0" * 8) + r" \\ ") * 8 + r"\end{pmatrix} " + prose(100),
        "The sum is " + " + ".join("1" * 70) + " = 70.",
        "1/7 = 0." + "142857" * 20 + ", and so on.",
        "| " + " | ".join(["---"] * 40) + " |\n" + prose(100),
        prose(100) + "\n\n**Final answer:** \\boxed{4}\n\n**Final answer:** \\boxed{4}",
    ],
)
def test_honest_mathematics_passes(text: str):
    assert find_repetition(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "a b " * 50_000,
        "!" * 200_000,
        "ab " * 33_000 + "a" * 100_000,
        " ".join(random.Random(0).choices("abcdefgh", k=100_000)),
        " ".join(map(str, range(34_000))),
    ],
)
def test_a_hostile_trace_takes_no_time(text: str):
    find_repetition("warm")
    with ends_in_time():
        find_repetition(text)
