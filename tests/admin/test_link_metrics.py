"""What ``/metrics`` tells of links to carriers, also while the store is away."""

from collections.abc import Mapping

from passband.admin.metrics import CARRIER_COUNTERS, LINK_COUNTERS, Held, LinkHeld, Metrics
from passband.counts import Counts
from passband.domain.errors import StoreUnavailable


class AwayStore:
    async def depths(self) -> None:
        raise StoreUnavailable("away")

    def statistics(self) -> Mapping[str, float]:
        return dict.fromkeys(("commits", "operations", "seconds", "unmatched_receipts", "largest"), 0)


async def test_links_and_what_a_carrier_refuses_are_told() -> None:
    link = LinkHeld("c", 3, False, 4, 10, "connect: no answer", dict.fromkeys(LINK_COUNTERS, 5))
    counts = {"c": dict.fromkeys(CARRIER_COUNTERS, 6)}
    held = Held(0, 0, [], {"c": 7}, [link], counts, {"c": {"vendor 0x00000412": 8}})
    store = AwayStore()
    told = (await Metrics(Counts(), store, lambda: held, lambda: 0.0).render()).decode()  # type: ignore[arg-type]
    place = 'carrier="c",link="3"'
    assert set(told.splitlines()) >= {
        *(f"passband_link_{name}_total{{{place}}} 5.0" for name in LINK_COUNTERS),
        *(f'passband_carrier_{name}_total{{carrier="c"}} 6.0' for name in CARRIER_COUNTERS),
        'passband_carrier_refusals_total{carrier="c",status="vendor 0x00000412"} 8.0',
        'passband_carrier_room{carrier="c"} 7.0',
        f"passband_link_bound{{{place}}} 0.0",
        f"passband_link_pending{{{place}}} 4.0",
        f"passband_link_window{{{place}}} 10.0",
        'passband_link_error{carrier="c",error="connect: no answer",link="3"} 1.0',
    }
