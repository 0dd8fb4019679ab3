"""File names: out of a peer's or an application's mouth, safe for a URL, a header and a disk."""

import pytest

from passband.mm4.names import MAX_NAME_CHARACTERS, attachment_name, part_name, safe_name, type_of_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("IMG_2041.jpg", "IMG_2041.jpg"),
        ("IMG 20 (1).jpg", "IMG_20_1_.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..", ""),
        (".", ""),
        ("", ""),
        ("/", ""),
        ("a/..", ""),
        ("a/", ""),
        ("C:\\Users\\ann\\a.jpg", "a.jpg"),
        ("%2e%2e%2fa.jpg", "_2e_2e_2fa.jpg"),
        ("a\0.jpg\r\nX: y", "a_.jpg_X_y"),
        ('a".jpg', "a_.jpg"),
        (".htaccess", ""),
        ("...jpg", ""),
        ("café.jpg", "cafe.jpg"),
        ("写真.jpg", ""),
        ("．．／ａ.jpg", "a.jpg"),
        ("℅.jpg", "o.jpg"),
        ("a.jpg...", "a.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("a" * 300 + ".jpg", "a" * (MAX_NAME_CHARACTERS - 4) + ".jpg"),
        ("a." + "b" * 300, "a"),
        ("ﷺ" * 500 + ".jpg", ""),
    ],
)
def test_a_name_is_made_safe(text: str, name: str) -> None:
    assert safe_name(text) == name


@pytest.mark.parametrize(
    ("names", "content_type", "index", "expected"),
    [
        (["..", "b.gif"], "image/gif", 3, "b.gif"),
        ([], "image/gif", 3, "3.gif"),
        ([], "image/x-new", 3, "3.bin"),
        (["a"], "image/x-new", 3, "a"),
        (["layout.xml"], "application/smil", 0, "0.smil"),
        (["layout.xml"], "application/smil", 2, "layout.xml"),
        ([], "application/smil+xml", 2, "2.smil"),
    ],
)
def test_the_name_of_an_inbound_part(names: list[str], content_type: str, index: int, expected: str) -> None:
    assert part_name(names, content_type, index) == expected


@pytest.mark.parametrize(
    ("name", "content_type", "taken", "expected"),
    [
        ("dot.gif", "image/gif", [], "dot.gif"),
        ("dot.JPEG", "image/jpeg", [], "dot.JPEG"),
        ("photo.php", "image/jpeg", [], "photo.php.jpg"),
        ("photo", "image/png", [], "photo.png"),
        ("写真.png", "image/png", [], "media1.png"),
        ("写真", "application/x-new", [], "media1"),
        ("a.gif", "image/gif", ["A.GIF"], "a-1.gif"),
        ("a.gif", "image/gif", ["a.gif", "a-1.gif"], "a-2.gif"),
        ("a", "application/x-new", ["a"], "a-1"),
    ],
)
def test_the_name_of_an_outbound_attachment(name: str, content_type: str, taken: list[str], expected: str) -> None:
    assert attachment_name(name, content_type, 1, taken) == expected


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.JPG", "image/jpeg"), ("a.b.3gp", "video/3gpp"), ("a", None), ("jpg", None), ("a.new", None)],
)
def test_an_extension_stands_for_a_type(name: str, content_type: str | None) -> None:
    assert type_of_name(name) == content_type
