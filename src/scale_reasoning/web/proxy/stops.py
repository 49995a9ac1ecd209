"""Stop sequences on a text that comes in pieces: what could be the beginning of one is held back until it is none."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Lets text through up to the first of `stops`, however it is cut into pieces. `met` says that one was found."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._held, self.met = tuple(stops), "", False

    def feed(self, text: str) -> str:
        """What may be shown now that `text` came too."""
        if self.met:
            return ""
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.met = True
            return self._held[: min(found)]
        return self._let_go(len(self._held) - self._begun())

    def end(self) -> str:
        """What was held back, now that no more comes."""
        return "" if self.met else self._let_go(len(self._held))

    def _begun(self) -> int:
        """How many characters at the end may begin a stop sequence."""
        return max((n for stop in self._stops for n in range(1, len(stop)) if self._held.endswith(stop[:n])), default=0)

    def _let_go(self, upto: int) -> str:
        shown, self._held = self._held[:upto], self._held[upto:]
        return shown
