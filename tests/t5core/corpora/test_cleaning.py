from t5core.corpora.cleaning import clean_docstring, clean_readme, is_english

NUMPYDOC = """
    Compute the :func:`~pkg.mean` along an axis, see `the guide
    <https://example.org/guide>`_ for ``more``.

    .. versionadded:: 1.2
        It takes a mask since then.

    Parameters
    ----------
    axis : int, default: None
        Axis along which the mean
        is computed.
    out : array_like, optional

    See Also
    --------
    median : the other one

    Examples
    --------
    >>> mean([1, 2])
    1.5

    Notes
    -----
    The sum is kept in double precision::

        total = 0.0

    .. math:: x = y
    It is exact.
    """


def test_numpydoc_keeps_prose_and_parameters_and_loses_code_links_and_tables():
    assert clean_docstring(NUMPYDOC) == (
        "Compute the mean along an axis, see the guide for more.\n\n"
        "    It takes a mask since then.\n\n"
        "Parameters\n----\n"
        "axis : int, default: None\n"
        "    Axis along which the mean is computed.\n"
        "out : array_like, optional\n\n"
        "Notes\n----\n"
        "The sum is kept in double precision:\n\n"
        "It is exact."
    )


def test_google_entries_start_lines_and_their_wrapped_lines_are_joined():
    raw = """Moves it.

    Args:
        target (str): Where to, with
            its name.
        force: Whether to
            overwrite.
    """
    assert clean_docstring(raw) == (
        "Moves it.\n\nArgs:\n    target (str): Where to, with its name.\n    force: Whether to overwrite."
    )


def test_a_colon_that_led_to_code_does_not_end_a_document():
    assert clean_docstring("Counts words.\n\nFor example::\n\n    count()\n") == "Counts words."


def test_fences_and_tables_go():
    raw = "Before.\n\n```\ncode here\n```\n\n=====  =====\nname   what\n=====  =====\nab     cd\n=====  =====\n\nAfter."
    assert clean_docstring(raw) == "Before.\n\nAfter."


def test_readmes_lose_badges_links_html_and_heading_marks():
    raw = "# Title #\n\n[![build](https://a/b.svg)](https://a)\n\n<p align='x'>See [the docs](https://d) now.</p>\n\n- https://x.y\n"
    assert clean_readme(raw) == "Title\n\nSee the docs now."


def test_english_is_told_from_lists():
    assert is_english("The array is copied to the device and then summed.")
    assert not is_english("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho")
