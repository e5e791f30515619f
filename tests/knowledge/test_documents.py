"""Reading documents: what comes out, and what hostile ones can do (nothing)."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.knowledge import documents
from appliance.knowledge.documents import Document, read
from appliance.knowledge.text import Place
from tests.knowledge.pdf import make_pdf


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(document: Document) -> list[str]:
    return [block.text for block in document.blocks]


def test_plain_text_has_lines(tmp_path: Path) -> None:
    document = read(written(tmp_path, "a.TXT", "One\ntwo.\n\n\n  Three. \n"))
    assert texts(document) == ["One\ntwo.", "Three."]
    assert [block.place for block in document.blocks] == [Place(line=1), Place(line=5)]
    assert (document.name, document.format, document.bytes) == ("a.TXT", "txt", 21)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    document = read(written(tmp_path, "a.txt", "Maçã e pão".encode(encoding)))
    assert texts(document) == ["Maçã e pão"]


def test_markdown_has_headings_and_loses_its_marks(tmp_path: Path) -> None:
    source = (
        "# The *House*\n\nA **bold** [link](http://x) and `code`.\n\n## Rooms ##\n- one\n"
        "- two\n\n```\n# no heading\n```\n"
    )
    document = read(written(tmp_path, "a.md", source))
    assert texts(document) == ["A bold link and code.", "one\ntwo", "# no heading"]
    assert document.blocks[1].place == Place(line=6, heading="Rooms")
    assert document.title == "The *House*"


def test_html_has_headings_and_loses_scripts_and_menus(tmp_path: Path) -> None:
    source = (
        "<title>T</title><style>a{}</style><nav>Menu</nav><h1>House <i>rules</i></h1>"
        "<p>Be <b>qui</b>et.<!-- not this --><p>At night.<h2>Rooms</h2><ul><li>one<li>two</ul>"
        "<script>evil()</script>&amp; more"
    )
    document = read(written(tmp_path, "a.html", source))
    assert texts(document) == ["Be quiet.", "At night.", "one", "two& more"]
    assert [block.place.heading for block in document.blocks][1:3] == ["House rules", "Rooms"]
    assert document.title == "House rules"


def test_pdf_has_pages(tmp_path: Path) -> None:
    data = make_pdf(["Title\nThe first page has a long line of words, hyphen-\nated.", "Página 2"])
    document = read(written(tmp_path, "a.pdf", data))
    assert [(b.text, b.place.page) for b in document.blocks] == [
        ("Title\nThe first page has a long line of words, hyphenated.", 1),
        ("Página 2", 2),
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.docx", b"PK", "only .htm"),
        ("a", b"text", "only .htm"),
        ("a.pdf", b"hello", "is no PDF"),
        ("a.pdf", b"%PDF-1.4\nrubbish" * 100, "is damaged"),
        ("a.pdf", make_pdf([""]), "has no text"),
        ("a.txt", b"", "has no text"),
        ("a.txt", b"\x7fELF\0\0\0\0", "is damaged"),
        ("a.html", b"<p></p>", "has no text"),
        ("a.txt", b"word " * 1_200_000, "has too much in it"),
    ],
)
def test_what_cannot_be_read_is_said(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        read(written(tmp_path, name, content))


def test_a_missing_file_and_one_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read(tmp_path / "no.txt")
    monkeypatch.setattr(documents, "MAX_BYTES", 10)
    with pytest.raises(UsageError, match="split it"):
        read(written(tmp_path, "a.txt", "12345678901"))


def test_a_protected_pdf(tmp_path: Path) -> None:
    import io

    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(make_pdf(["secret"]))))
    writer.encrypt("password", algorithm="RC4-128")
    with (tmp_path / "a.pdf").open("wb") as file:
        writer.write(file)
    with pytest.raises(UsageError, match="password"):
        read(tmp_path / "a.pdf")


def test_a_bomb_runs_into_a_limit(tmp_path: Path) -> None:
    plain = make_pdf(["x"])
    bomb = zlib.compress(b"(a) Tj " * 20_000_000)  # 140 MB of operators in 140 kB
    start = plain.index(b"<< /Length")
    end = plain.index(b"endstream")
    stream = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\n" % (len(bomb), bomb)
    with pytest.raises(UsageError, match=r"has too much in it|is damaged"):
        read(written(tmp_path, "bomb.pdf", plain[:start] + stream + plain[end:]))


def test_a_reader_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LIMIT_S", 0.01)
    with pytest.raises(UsageError, match="within"):
        read(written(tmp_path, "a.txt", "text"))


@pytest.mark.parametrize(
    ("name", "data", "form"),
    [
        ("a.txt", b"plain", "txt"),
        ("a.md", b"# Title", "md"),
        ("a.pdf", b"plain, whatever its name says", "txt"),
        ("a.txt", b"  <!-- c --> <!DOCTYPE html><p>x", "html"),
        ("a.txt", b"\xef\xbb\xbf<HTML lang=en>", "html"),
        ("a.txt", b"junk %PDF-1.4", "pdf"),
        ("a.txt", b"<!---->" * 500 + b"no page", "txt"),
        ("a.txt", b"<!-- never closed <html>", "txt"),
    ],
)
def test_the_content_says_what_an_upload_is(name: str, data: bytes, form: str) -> None:
    assert documents.format_of(name, data) == form


def test_an_upload_is_read_like_a_file() -> None:
    found = documents.read_upload("notes", b"The machine is in the cellar.")
    assert (found.name, found.format, found.blocks[0].text) == (
        "notes",
        "txt",
        "The machine is in the cellar.",
    )
    with pytest.raises(UsageError, match="no text, HTML page or PDF"):
        documents.read_upload("a.txt", b"PK\0\0")
