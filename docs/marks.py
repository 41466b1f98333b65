"""Pages that people write, with a part in them that a program writes."""


def between(page: str, begin: str, text: str, end: str) -> str:
    """The page with this text between the two marks.

    Raises:
        ValueError: A mark is missing.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page lacks {begin!r} or {end!r}")
    return f"{before}{begin}\n{text}\n{end}{after}"
