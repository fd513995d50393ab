import pytest

from stdet.errors import ConfigError
from stdet.page.access import Access, access_of, is_loopback

OPEN = access_of("127.0.0.1", 8080, None)
CLOSED = Access(token="a-secret-token", port=8080)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost", "LOCALHOST"])
def test_this_machine_alone_needs_no_token(host):
    assert is_loopback(host)
    assert access_of(host, 8080, None).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "camera.example"])
def test_any_other_address_gets_a_token_nobody_can_guess(host):
    tokens = {access_of(host, 8080, None).token for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 20


@pytest.mark.parametrize(
    "token", ["", "short", "with spaces in it", "what?ever&more", "\u00e4" * 9]
)
def test_token_that_is_short_or_changes_in_an_address_is_refused(token):
    with pytest.raises(ConfigError, match="--token: expected at least 8 letters"):
        access_of("127.0.0.1", 8080, token)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080"])
def test_page_answers_to_names_of_this_machine(host):
    assert OPEN.refusal("GET", {"host": host}, None) is None


@pytest.mark.parametrize(
    "host", ["evil.example:8080", "127.0.0.1.evil.example", "", "[::1", "a@b"]
)
def test_page_does_not_answer_to_other_names(host):
    assert "127.0.0.1 and localhost only" in OPEN.refusal("GET", {"host": host}, None)


@pytest.mark.parametrize("token", [None, "", "a-secret-toke", "a-secret-token2", "\u00e4"])
def test_wrong_token_is_refused(token):
    assert "?token=" in CLOSED.refusal("GET", {"host": "camera.example"}, token)


def test_right_token_opens_under_any_name():
    assert CLOSED.refusal("GET", {"host": "camera.example"}, "a-secret-token") is None


@pytest.mark.parametrize(("access", "token"), [(OPEN, None), (CLOSED, "a-secret-token")])
def test_only_the_page_itself_may_change_something(access, token):
    def refusal(method, origin):
        headers = {"host": "localhost:8080", "origin": origin}
        return access.refusal(method, headers, token)

    assert refusal("POST", "http://localhost:8080") is None
    for origin in ("http://evil.example", "http://localhost:9999", "null", "http://[x"):
        assert "Another web site" in refusal("POST", origin)
        assert refusal("GET", origin) is None  # Browsers keep the answer from it.


def test_malformed_origin_is_foreign_to_a_request_without_a_host():
    headers = {"host": "", "origin": "http://[x"}
    assert "Another web site" in CLOSED.refusal("POST", headers, "a-secret-token")
