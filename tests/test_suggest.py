import pytest

from scale_reasoning.suggest import describe_unknown, suggest

STRATEGIES = ("scale", "cot", "vote", "cascade", "inftythink")


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("cto", STRATEGIES, " (did you mean cot?)"),
        ("COT", STRATEGIES, " (did you mean cot?)"),
        ("scael", STRATEGIES, " (did you mean scale?)"),
        ("infythink", STRATEGIES, " (did you mean inftythink?)"),
        ("solv", ("solve", "serve"), " (did you mean solve?)"),
        ("modle", ("mode", "model"), " (did you mean model?)"),
        ("--sampels", ("--samples", "--sample"), " (did you mean --samples?)"),
        ("zzz", STRATEGIES, ""),
        ("", STRATEGIES, ""),
        ("cot", (), ""),
    ],
)
def test_near_names_are_suggested_and_swapped_letters_first(name: str, known: tuple[str, ...], said: str) -> None:
    assert suggest(name, known) == said


def test_an_unknown_name_is_told_all_that_are_known() -> None:
    assert describe_unknown("strategy", "cto", STRATEGIES) == (
        "no strategy 'cto' (did you mean cot?); there are: scale, cot, vote, cascade, inftythink"
    )
