"""By which of their references the receipts of one transaction matched, for the carriers that want to know.

Counting must cost the common case nothing: receipts that match by their first reference are counted together.
"""

from collections.abc import Callable, Mapping

from passband.domain.report import Matched, Receipt


class Matches:
    """The matches of one transaction; it is to be told of once that is durable."""

    def __init__(self, wanted: Mapping[str, Callable[[Matched], None]]) -> None:
        self._wanted = wanted
        self._found: dict[str, Matched] = {}

    def _of(self, carrier: str) -> Matched:
        found = self._found.get(carrier)
        if found is None:
            found = self._found[carrier] = Matched(0, {})
        return found

    def first(self, carrier: str, count: int) -> None:
        """So many more receipts of a carrier have matched by their first references; fewer, if negative."""
        if carrier in self._wanted:
            self._of(carrier).first += count

    def later(self, receipt: Receipt, place: int) -> None:
        """A receipt has matched by the reference at this place, from 1."""
        if receipt.carrier in self._wanted:
            self._of(receipt.carrier).later.setdefault(place, []).append(receipt.refs)

    def tell(self) -> None:
        """Tell the carriers."""
        for carrier, found in self._found.items():
            if found.first > 0 or found.later:
                self._wanted[carrier](found)
