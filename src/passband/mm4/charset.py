"""Character sets of text parts, subjects and file names."""

# Charset labels in lower case → Python's codec. A table, because Python's own look-up takes names such as "idna" and
# "unicode_escape", which are no charsets, and remembers every unknown name for ever.
_CODECS = {
    "us-ascii": "ascii",
    "ascii": "ascii",
    "ansi_x3.4-1968": "ascii",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf-16be": "utf-16-be",
    "utf-16le": "utf-16-le",
    "iso-10646-ucs-2": "utf-16-be",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    **{f"iso-8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"windows-{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
    **{f"cp{n}": f"cp{n}" for n in range(1250, 1259)},
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
    "shift_jis": "cp932",
    "sjis": "cp932",
    "windows-31j": "cp932",
    "euc-jp": "euc-jp",
    "iso-2022-jp": "iso2022-jp",
    "euc-kr": "euc-kr",
    "ks_c_5601-1987": "cp949",
    "tis-620": "tis-620",
}


def decode_text(octets: bytes, charset: str | None) -> str:
    """Turn octets into text: by the charset if it is known and fits, else as UTF-8 if they are, else as Latin-1.

    U+0000 and a byte order mark at the beginning are left out: no store and no handset has a use for them.
    """
    for codec in (_CODECS.get((charset or "").strip("\"' ").lower()), "utf-8", "latin-1"):
        if codec is None:
            continue
        try:
            return octets.decode(codec).removeprefix("\ufeff").replace("\0", "")
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 takes every octet")
