"""What a client is told: stop sequences however a text is cut, and an answer that begins anew."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.events import Drafting, Event, Finished, Location, RoundBegan, Routed, Started, Streamed
from scale_reasoning.spending import spending
from scale_reasoning.types import (
    NO_USAGE,
    Assessment,
    Attempt,
    Call,
    Completion,
    Delta,
    Mode,
    Record,
    Request,
    Solution,
    Stage,
    Step,
    Tally,
    Usage,
)
from scale_reasoning.web.proxy.narrate import Narrator, Piece, Stops, answer_text, finish_reason


def step(text: str, finish: str = "stop") -> Step:
    return Step(subproblem="s", difficulty=None, mode=Mode.SYSTEM2, text=text, reasoning="", finish_reason=finish,
                usage=NO_USAGE)  # fmt: skip


def record(solution: Solution) -> Record:
    return Record(attempt=Attempt(problem_id="p"), strategy={"name": "x"}, model="m", solution=solution, grade=None,
                  calls=(), usage=spending(()), failure=None, seconds=0)  # fmt: skip


def told(events: list[Event], solution: Solution, stops: tuple[str, ...] = ()) -> list[Piece]:
    pieces: list[Piece] = []
    narrator = Narrator(pieces.append, stops)
    for event in events:
        narrator.hear(event)
    narrator.end(record(solution))
    return pieces


def content(pieces: list[Piece]) -> str:
    return "".join(piece.content for piece in pieces)


def reasoning(pieces: list[Piece]) -> str:
    return "".join(piece.reasoning for piece in pieces)


ANSWER = Location(path="solve", final=True)
REQUEST = Request(model="m", messages=(), mode=Mode.SYSTEM2, seed=1)


def said(location: Location, *texts: str) -> list[Event]:
    return [
        Started(location=location, mode=Mode.SYSTEM2),
        *(Streamed(location=location, delta=Delta(text=text)) for text in texts),
    ]


def stepped(number: int, *, final: bool) -> Location:
    return Location(path=f"step{number}/solve", final=final)


def round_of(number: int) -> list[Event]:
    return [RoundBegan(location=Location(path=f"round{number}"), number=number, mode=Mode.SYSTEM2)]


def round_location(number: int) -> Location:
    return Location(path=f"round{number}/solve", final=None)


def routed(number: int, of: int) -> Routed:
    return Routed(
        location=Location(path=f"step{number}"),
        step=number,
        of=of,
        subproblem="what?",
        difficulty=0.25,
        mode=Mode.SYSTEM1,
    )


@given(
    st.text("abE ND\n", max_size=40), st.lists(st.sampled_from(["END", "a", "ab\n", "DN", "N"]), max_size=3), st.data()
)
def test_the_first_complete_stop_sequence_ends_a_text_however_it_is_cut(text: str, stops: list[str], data) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    reader = Stops(stops)
    shown = "".join(reader.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)) + reader.end()
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    assert shown == text[: min(ends)[1] if ends else len(text)]


def test_only_the_last_step_is_content_and_every_heading_is_reasoning() -> None:
    pieces = told(
        [routed(1, 2), *said(stepped(1, final=False), "one"), routed(2, 2),
         *said(Location(path="step2/assess", stage=Stage.ASSESS), "{}"), *said(stepped(2, final=True), "t", "wo")],
        Solution(answer="2", steps=(step("one"), step("two"))),
    )  # fmt: skip
    assert content(pieces) == "two"
    assert " ".join(reasoning(pieces).split()) == (
        "### Step 1 of 2: what? difficulty 0.25, System 1 one ### Step 2 of 2: what? difficulty 0.25, System 1"
    )
    assert Piece(content="t") in pieces, "the answer must stream"


def test_a_blank_line_parts_a_step_from_the_text_before_it_however_that_ends() -> None:
    for working in ("one", "one\n", "one\n\n"):
        for texts in ((working,), tuple(working)):
            solution = Solution(answer="2", steps=(step(working), step("2")), notes=("odd",))
            first, second = said(stepped(1, final=False), *texts), said(stepped(2, final=True), "2")
            pieces = told([routed(1, 2), *first, routed(2, 2), *second], solution)
            blocks = "### Step 1 of 2: what?", "difficulty 0.25, System 1", "one", "### Step 2 of 2: what?"
            assert reasoning(pieces) == "\n\n".join((*blocks, "difficulty 0.25, System 1", "note: odd\n"))


def test_an_answer_that_starts_again_continues_where_it_was_when_it_says_the_same() -> None:
    again = Streamed(location=ANSWER, delta=Delta(restarted=True))
    pieces = told([*said(ANSWER, "It is "), again, *said(ANSWER, "It", " is 4")[1:]],
                  Solution(answer="4", steps=(step("It is 4"),)))  # fmt: skip
    assert content(pieces) == "It is 4"
    assert "starts again" in reasoning(pieces)


def test_an_answer_that_begins_anew_with_other_words_is_told_whole_below() -> None:
    again = Streamed(location=ANSWER, delta=Delta(restarted=True))
    pieces = told([*said(ANSWER, "It is "), again, *said(ANSWER, "So: 4")[1:]],
                  Solution(answer="4", steps=(step("So: 4"),)))  # fmt: skip
    assert content(pieces) == "It is \n\nSo: 4"


def test_a_forced_answer_follows_what_the_cut_off_one_had_said() -> None:
    pieces = told([*said(ANSWER, "It may be"), *said(Location(path="solve/force", final=True), "It is 4")],
                  Solution(answer="4", steps=(step("It is 4"),)))  # fmt: skip
    assert content(pieces) == "It may be\n\nIt is 4"


def test_stop_sequences_cut_the_content_and_not_the_reasoning() -> None:
    pieces = told([routed(1, 2), *said(stepped(1, final=False), "a END b"), routed(2, 2),
                   *said(stepped(2, final=True), "c E", "ND d")],
                  Solution(answer=None, steps=(step("a END b"), step("c END d"))), ("END",))  # fmt: skip
    assert content(pieces) == "c "
    assert "a END b" in reasoning(pieces)


def test_a_round_that_does_not_answer_is_reasoning_and_the_one_that_does_is_content() -> None:
    summary = Location(path="round1/summarise", stage=Stage.SUMMARISE)
    pieces = told([*round_of(1), *said(round_location(1), "hm"), *said(summary, "notes"),
                   *round_of(2), *said(round_location(2), "4")],
                  Solution(answer="4", steps=(step("hm"), step("4"))))  # fmt: skip
    assert content(pieces) == "4"
    assert " ".join(reasoning(pieces).split()) == "### Round 1 System 2 hm ### Round 2 System 2"


def test_nothing_is_told_before_the_server_has_said_something() -> None:
    pieces: list[Piece] = []
    narrator = Narrator(pieces.append)
    narrator.hear(*round_of(1))
    narrator.hear(Started(location=round_location(1), mode=Mode.SYSTEM2))
    narrator.hear(Started(location=Location(path="decompose/1", stage=Stage.DECOMPOSE), mode=Mode.SYSTEM1))
    assert pieces == []


def test_chains_are_told_by_their_answers_and_the_chosen_one_is_the_content() -> None:
    def ended(chain: int, text: str) -> Finished:
        path = f"chain{chain}/solve"
        call = Call(
            path=path, stage=Stage.SOLVE, mode=Mode.SYSTEM2, seed=1, usage=NO_USAGE, finish_reason="stop", seconds=1
        )
        usage = Usage(completion_tokens=9)
        location = Location(path=path, chain=chain, final=True)
        return Finished(location=location, request=REQUEST, call=call, completion=Completion(text=text, usage=usage))

    chains = (Solution(answer=None), Solution(answer="4", steps=(step("\\boxed{4}"),)))
    solution = Solution(answer="4", chains=chains, selected=1, votes=(Tally(answer="4", votes=1),), notes=("odd",))
    pieces = told(
        [*said(Location(path="chain1/solve", chain=1, final=True), "x"), ended(1, "x"), ended(2, "\\boxed{4}")],
        solution,
    )
    assert content(pieces) == "\\boxed{4}"
    assert reasoning(pieces).split("\n") == [
        "chain1/solve: System 2, 9 tokens, no answer", "chain2/solve: System 2, 9 tokens, answer 4", "",
        "votes: 4 (1)", "", "note: odd", "",
    ]  # fmt: skip


def test_an_answer_that_was_cut_off_ends_by_length_and_a_vote_of_nobody_shows_the_first_chain() -> None:
    assert finish_reason(Solution(answer=None, steps=(step("x", "length"),))) == "length"
    assert finish_reason(Solution(answer=None, steps=(step("x", "eos"),))) == "stop"
    nobody = Solution(answer=None, chains=(Solution(answer=None, steps=(step("a", "length"),)), Solution(answer=None)))
    assert (answer_text(nobody), finish_reason(nobody)) == ("a", "length")


def drafting(number: int, of: int, drafts: int) -> Drafting:
    location = Location(path=f"step{number}")
    return Drafting(location=location, step=number, of=of, subproblem="what?", drafts=drafts)


def ended(path: str) -> Finished:
    return Finished(location=Location(path=path), request=REQUEST, call=None, completion=None)


def test_drafts_at_once_are_told_one_after_the_other_and_the_step_has_one_heading() -> None:
    drafts = [Location(path=f"step1/draft{n}") for n in (1, 2)]
    routed_again = replace(routed(1, 1), mode=Mode.SYSTEM2, reason="2 drafts disagree: 4, 5")
    pieces = told(
        [drafting(1, 1, 2), *said(drafts[0], "It ")[:2], *said(drafts[1], "Is ", "it 5")[:3],
         Streamed(location=drafts[0], delta=Delta(text="is 4")), ended("step1/draft2"), ended("step1/draft1"),
         routed_again, *said(stepped(1, final=True), "4")],
        Solution(answer="4", steps=(step("4"),)),
    )  # fmt: skip
    assert reasoning(pieces) == (
        "### Step 1 of 1: what?\n\n2 drafts in System 1\n\nDraft 2: Is it 5\n\nDraft 1: It is 4\n\n"
        "difficulty 0.25, System 2: 2 drafts disagree: 4, 5\n\n"
    )
    assert content(pieces) == "4"


def test_a_single_draft_streams_and_further_drafts_are_announced() -> None:
    first = Location(path="step1/draft1")
    source = Assessment(assessor="draft", difficulty=0.25, fallback="no log-probabilities")
    pieces = told(
        [drafting(1, 1, 1), *said(first, "It ", "is 4"), drafting(1, 1, 2), *said(Location(path="step1/draft2"), "4"),
         ended("step1/draft2"), replace(routed(1, 1), kept="step1/draft1", assessment=source)],
        Solution(answer="4", steps=(step("It is 4"),)),
    )  # fmt: skip
    assert reasoning(pieces) == (
        "### Step 1 of 1: what?\n\n1 draft in System 1\n\nIt is 4\n\n2 drafts more in System 1\n\nDraft 2: 4\n\n"
        "difficulty 0.25 (draft: no log-probabilities), System 1, a draft is kept\n\n"
    )
    assert content(pieces) == "It is 4"
