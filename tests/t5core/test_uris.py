"""What of a URI or a message may be shown."""

import pytest

from t5core.errors import ConfigError
from t5core.uris import check_user_info, local_path, masked, masked_address, without_user


@pytest.mark.parametrize(
    "name",
    [
        *("access_token", "api_key", "apikey", "private_token", "auth", "key", "token", "auth-token", "refresh_token"),
        *(
            "client_secret",
            "client-secret",
            "AWSAccessKeyId",
            "secret_access_key",
            "X-Amz-Credential",
            "X-Goog-Signature",
        ),
        *("sig", "password", "id_token", "job_token", "sas_token", "subscription-key", "credential"),
    ],
)
@pytest.mark.parametrize("before", ["?", "?a=b&", ";", "#"])
def test_what_opens_a_door_is_not_shown(name, before):
    text = f"no answer of https://host/a.txt{before}{name}=s3cr/et%3D=&page=2 today"
    assert "s3cr" not in masked(text) and masked(text).endswith("=***&page=2 today")


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a?keyword=tea&monkey=1&author=me&keys=2&tokens=3&design=x&authority=y&signed=z",
        "https://host/token=5/key=3",
        "key=value, token=5",
        "give a word; keyword=x",
        "https://host/a?turkey=1&tokenizer=bpe&primary_keyword=k&passwordless=1",
        "s3://bucket/a.txt",
        "who@example.org",
    ],
)
def test_ordinary_words_are_shown(text):
    assert masked(text) == text


def test_user_and_password_are_not_shown():
    assert masked("10:s3://KEY:SEC/RET@bucket/x, a") == "10:s3://***@bucket/x, a"


PASSWORDS = ("p w", "p@w", "p/w", "p:w", "/pw@ /:", "p://w", "p?w#")


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("scheme", ["postgresql", "mysql+pymysql", "s3", "https", "redis"])
def test_a_password_is_not_shown_whatever_it_holds(scheme, password):
    uri = f"{scheme}://ann:{password}@host.example/place"
    assert masked(uri) == f"{scheme}://***@host.example/place"
    assert masked(f"no answer of {uri}; try again") == f"no answer of {scheme}://***@host.example/place; try again"
    assert without_user(uri) == f"{scheme}://host.example/place"


def test_a_database_has_no_at_but_its_users():
    assert masked("postgresql://co/ann:p/w@host/db") == "postgresql://***@host/db"
    assert masked("hf://datasets/allenai/c4@main/en/a.json.gz") == "hf://datasets/allenai/c4@main/en/a.json.gz"
    assert masked("https://a.org/x.txt, s3://KEY:SEC@b/x") == "https://a.org/x.txt, s3://***@b/x"


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("postgresql://ann:p w@host/db", "' ' as %20"),
        ("postgresql://ann:p@w/@host/db", "'@' as %40, '/' as %2F"),
        ("https://ann:p/w@host", "'/' as %2F"),
        ("https://ann:p?#w@host", "'?' as %3F, '#' as %23"),
    ],
)
def test_how_a_password_is_written_is_said(uri, written):
    with pytest.raises(ConfigError) as refused:
        check_user_info(uri, "storage")
    assert str(refused.value) == f"storage={masked(uri)!r}: in a user or password, write {written}"


WELL_WRITTEN = (
    *("postgresql://ann:p%40w:x@host/db", "s3://bucket/a@b", "https://host/x", "sqlite:///a@b c"),
    *("http://host:5000/x@y", "postgresql://host/db?user=a@b", "hdfs://node:8020/data@v1", "http://[::1]:5000/x@y"),
)


@pytest.mark.parametrize("uri", WELL_WRITTEN)
def test_what_is_written_well_is_taken(uri):
    check_user_info(uri, "storage")


@pytest.mark.parametrize(
    "uri",
    [
        *("http://ann/b:s3cret@host", "s3://ann/x:s3cret@bucket/x", "http://to/s3cret@host:5000"),
        *("file://ann:s3cret@host/x", "sqlite://ann:s3cret@host/x.db", "SQLITE://ann:s3cret@host"),
        *("postgresql://host/db?password=s3 cret&x=1", "mssql://host/db?odbc_connect=DRIVER%3Dx%3BPWD%3Ds3cret"),
        "mysql://host/db?sslpassword=s3cret",
    ],
)
def test_no_secret_of_an_address_is_shown(uri):
    assert "s3" not in masked(uri).removeprefix("s3://") and "cret" not in masked(uri)
    error = ConfigError("store", uri, f"no answer of {uri}")
    assert "cret" not in str(error).split(": no answer")[0] and "cret" not in str(error.value)


@pytest.mark.parametrize(
    "given", ["postgresql:/ann:s3cret@h/db", "postgresql//ann:s3cret@h/db", "ann:s3cret@host:5000"]
)
def test_what_is_no_address_shows_no_password_either(given):
    assert masked_address(given).endswith(("@h/db", "@host:5000")) and "s3cret" not in masked_address(given)


def test_a_home_that_nobody_has_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/a", "out") == tmp_path / "a"
    with pytest.raises(ConfigError, match=r"^out='~nosuchuser/a': nobody of that name has a home here"):
        local_path("~nosuchuser/a", "out")
