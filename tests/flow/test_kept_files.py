"""Files of MMS that may have to be sent again: kept while they may be needed, within a bound."""

import msgspec
import pytest

from carriers.collector import an_mms
from passband.domain.report import Accepted, Attachment, Deferred, Outcome, Rejected, Submission
from passband.flow.kept_files import KEPT_SECONDS, KeptFiles

NOW = 1_773_044_142.0
LATER = Deferred(5620, 5.0)


def with_file(octets: int, *to: str) -> Submission:
    file = Attachment("a.png", "image/png", bytes(octets))
    return msgspec.structs.replace(an_mms(*(to or ("+14085550142",))), attachments=(file,))


def ended(kept: KeptFiles, submission: Submission, *outcomes: Outcome, now: float = NOW) -> None:
    kept.handed_over(submission)
    kept.settled(list(zip(submission.recipients, outcomes, strict=True)), now)


OUTCOMES: dict[str, tuple[list[Outcome], bool]] = {
    "taken for good": ([Accepted((), None)], False),
    "taken, and a receipt is awaited": ([Accepted(("a",), 7200.0)], False),
    "taken, and an answer is owed": ([Accepted(("a",), 7200.0, unanswered=5630)], True),
    "not taken for now": ([LATER], True),
    "refused": ([Rejected(4720)], False),
    "a group of which one waits": ([Accepted((), None), LATER], True),
    "a group of which none waits": ([Accepted((), None), Rejected(4720)], False),
}


@pytest.mark.parametrize(("outcomes", "kept"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_files_are_kept_where_they_may_be_sent_again(outcomes: list[Outcome], kept: bool) -> None:
    files = KeptFiles(100)
    submission = with_file(10, *(f"+1408555014{n}" for n in range(len(outcomes))))
    ended(files, submission, *outcomes)
    assert files.octets == (10 if kept else 0)
    assert files.take("sim", submission) == (submission.attachments if kept else None)
    assert files.octets == 0
    assert files.take("sim", submission) is None


def test_the_oldest_make_room_and_too_large_ones_are_not_kept() -> None:
    files = KeptFiles(100)
    first, second, third, large = with_file(40), with_file(40), with_file(40), with_file(101)
    for submission in (first, second, third, large):
        ended(files, submission, LATER)
    assert files.octets == 80
    assert [files.take("sim", s) is not None for s in (first, second, third, large)] == [False, True, True, False]


def test_nothing_is_kept_for_long() -> None:
    files = KeptFiles(100)
    old, new = with_file(10), with_file(10)
    ended(files, old, LATER)
    ended(files, new, LATER, now=NOW + 1)
    files.forget_old(NOW + KEPT_SECONDS)
    assert files.octets == 10
    assert files.take("sim", old) is None
    assert files.take("sim", new) is not None


def test_another_carrier_s_files_are_its_own() -> None:
    files = KeptFiles(100)
    submission = with_file(10)
    ended(files, submission, LATER)
    assert files.take("other", submission) is None


def test_a_node_that_lost_its_leases_keeps_nothing() -> None:
    files = KeptFiles(100)
    kept, under_way = with_file(10), with_file(10)
    ended(files, kept, LATER)
    files.handed_over(under_way)
    files.forget()
    files.settled([(under_way.recipients[0], LATER)], NOW)
    assert files.octets == 0
    assert files.take("sim", kept) is None
