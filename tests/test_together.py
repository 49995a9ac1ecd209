"""Coroutines run together end together."""

import asyncio

import pytest

from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import ConfigError, Overloaded, ParseError
from scale_reasoning.together import together


class Work:
    """Coroutines that keep a log of how they began and ended."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[tuple[str, str]] = []

    async def sleep(self, name: str, seconds: float, failure: BaseException | None = None) -> str:
        self.began.append(name)
        try:
            await asyncio.sleep(seconds)
            if failure is not None:
                raise failure
        except asyncio.CancelledError:
            await asyncio.sleep(1)  # closing a connection takes its time
            self.ended.append((name, "cancelled"))
            raise
        except BaseException:
            self.ended.append((name, "failed"))
            raise
        self.ended.append((name, "done"))
        return name


def test_results_come_in_the_order_of_the_coroutines_not_of_their_ends() -> None:
    work = Work()
    assert run_virtual(together(work.sleep(name, s) for name, s in (("a", 3), ("b", 1), ("c", 2)))) == ["a", "b", "c"]
    assert [name for name, _ in work.ended] == ["b", "c", "a"]


def test_no_coroutines_are_no_results() -> None:
    assert run_virtual(together(())) == []


def test_they_run_at_the_same_time() -> None:
    async def main() -> float:
        work = Work()
        await together(work.sleep(str(n), 10) for n in range(100))
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(10)


def test_the_first_failure_is_raised_as_itself_after_the_others_have_ended() -> None:
    work = Work()
    first, second = ParseError("first", ("x",)), ConfigError("second")
    with pytest.raises(ParseError) as raised:
        run_virtual(together([work.sleep("a", 5), work.sleep("b", 2, first), work.sleep("c", 3, second)]))
    assert raised.value is first
    assert work.ended[0] == ("b", "failed")
    assert sorted(work.ended[1:]) == [("a", "cancelled"), ("c", "cancelled")]


def test_a_failure_while_the_others_are_cancelled_does_not_hide_the_first() -> None:
    async def fails_when_cancelled() -> None:
        try:
            await asyncio.sleep(9)
        finally:
            raise ConfigError("late")

    with pytest.raises(Overloaded, match="first"):
        run_virtual(together([fails_when_cancelled(), Work().sleep("b", 1, Overloaded("first"))]))  # type: ignore[list-item]


def test_a_failure_keeps_its_cause() -> None:
    async def main() -> None:
        try:
            raise OSError("reset")
        except OSError as error:
            raise Overloaded("no answer") from error

    with pytest.raises(Overloaded) as raised:
        run_virtual(together([main()]))
    assert isinstance(raised.value.__cause__, OSError)


def test_a_failure_of_one_inside_another_is_raised_as_itself_too() -> None:
    work = Work()
    failure = ConfigError("deep")

    async def inner() -> list[str]:
        return await together([work.sleep("a", 1, failure), work.sleep("b", 9)])

    async def outer() -> None:
        await together([inner(), inner()])

    with pytest.raises(ConfigError) as raised:
        run_virtual(outer())
    assert raised.value is failure
    assert len(work.ended) == len(work.began) == 4


def test_a_failure_while_they_are_made_cancels_those_already_made() -> None:
    work = Work()

    def coroutines():
        yield work.sleep("a", 9)
        raise ConfigError("in the making")

    with pytest.raises(ConfigError, match="in the making"):
        run_virtual(together(coroutines()))
    assert "done" not in [how for _, how in work.ended]


def test_cancelling_cancels_them_all_and_waits_for_their_end() -> None:
    work = Work()

    async def main() -> None:
        task = asyncio.create_task(together(work.sleep(str(n), 9) for n in range(5)))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(work.ended) == [(str(n), "cancelled") for n in range(5)]

    run_virtual(main())
