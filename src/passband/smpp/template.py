"""The short way to write the many submit_sm of one carrier, of which little differs from one to the next.

A template writes the same octets as ``SubmitSm.body`` in a quarter of the time: what a carrier's profile fixes is
written once, and what repeats (senders, codings) is kept.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from passband.smpp import tlv
from passband.smpp.pdu import MAX_SHORT_MESSAGE, NO_TLVS, SubmitSm, UnwritablePdu, write_string

_MOST_KEPT: Final = 4096
"""Senders, and codings with their validity, that are kept; beyond it all are forgotten and learnt again."""


_LENGTHS: Final = tuple(bytes((length,)) for length in range(MAX_SHORT_MESSAGE + 1))


class SubmitTemplate:
    """Writes submit_sm after a model; the arguments of ``body`` are all that differs from it.

    The model's TLVs are sent with every segment, before a segment's own.
    """

    def __init__(self, model: SubmitSm) -> None:
        self._model = model
        self._fixed_tlvs = tlv.write(model.tlvs)
        self._heads: dict[tuple[tuple[int, int, str], int, int], bytes] = {}
        self._middles: dict[tuple[int, int, int, str], bytes] = {}

    def body(
        self,
        source: tuple[int, int, str],
        destination: tuple[int, int, str],
        short_message: bytes,
        data_coding: int = 0,
        esm_class: int = 0,
        registered_delivery: int = 1,
        validity_period: str = "",
        tlvs: Mapping[int, bytes] = NO_TLVS,
    ) -> bytes:
        """The body of a submit_sm, for ``Session.submit``. Addresses are (ton, npi, address).

        Raises:
            UnwritablePdu: a value cannot be written.
        """
        ton, npi, address = destination
        coded = (esm_class, registered_delivery, data_coding, validity_period)
        try:
            octets = b"".join(
                (
                    self._heads.get((source, ton, npi)) or self._head(source, ton, npi),
                    address.encode("latin-1"),
                    self._middles.get(coded) or self._middle(*coded),
                    _LENGTHS[len(short_message)],
                    short_message,
                    self._fixed_tlvs,
                )
            )
        except (ValueError, IndexError) as error:
            raise UnwritablePdu("submit_sm cannot be written") from error
        if "\0" in address:
            raise UnwritablePdu("submit_sm: NUL in destination_addr")
        return octets + tlv.write(tlvs) if tlvs else octets

    def _head(self, source: tuple[int, int, str], ton: int, npi: int) -> bytes:
        """service_type to dest_addr_npi."""
        head = write_string(self._model.service_type) + bytes(source[:2]) + write_string(source[2]) + bytes((ton, npi))
        return _kept(self._heads, (source, ton, npi), head)

    def _middle(self, esm_class: int, registered_delivery: int, data_coding: int, validity_period: str) -> bytes:
        """The end of destination_addr to sm_default_msg_id."""
        model = self._model
        middle = (
            b"\0"
            + bytes((esm_class, model.protocol_id, model.priority_flag))
            + write_string(model.schedule_delivery_time)
            + write_string(validity_period)
            + bytes((registered_delivery, model.replace_if_present_flag, data_coding, model.sm_default_msg_id))
        )
        return _kept(self._middles, (esm_class, registered_delivery, data_coding, validity_period), middle)


_Key = TypeVar("_Key")


def _kept(cache: dict[_Key, bytes], key: _Key, octets: bytes) -> bytes:
    if len(cache) >= _MOST_KEPT:
        cache.clear()
    cache[key] = octets
    return octets
