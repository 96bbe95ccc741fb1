"""The page that tells users what is refused is the lists that refuse it."""

from tests.sql.refused_page import PAGE, page


def test_the_page_of_refusals_is_written_from_the_lists() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.sql.refused_page"
