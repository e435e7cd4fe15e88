"""The decision on a request, against a plain restatement of the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.access import keys, scopes
from schemas.access.decision import AccessPolicy, Credentials, Refusal, decide
from schemas.access.principal import Principal
from schemas.access.scopes import AccessRule, Scope
from schemas.access.signing import make_user_token, signing_secret
from schemas.access.view import AccessView

NOW = 1_000_000.0
SHOP, OTHER = "https://shop.example", "https://other.example"
SECRET = b"the secret of this site, long enough"
RULES = [value for value in vars(scopes).values() if isinstance(value, AccessRule)]


def key_of(number: int, key_scopes=(Scope.EVENTS_WRITE,), origins=(), ended=None) -> keys.NewKey:
    expires_at = NOW - 1 if ended == "expired" else None
    new = keys.make_key(
        bytes([number]) * keys.ENTROPY_BYTES, key_scopes, NOW - 9, origins=origins, expires_at=expires_at
    )
    return new._replace(record=keys.revoke(new.record, NOW - 1)) if ended == "revoked" else new


def view_of(*made: keys.NewKey) -> AccessView:
    return AccessView(log_id="log", keys={key.record.id: key.record for key in made}, had_keys=bool(made))


def outcome(decided: Principal | Refusal) -> int:
    return decided.status if isinstance(decided, Refusal) else 200


KEYS = st.builds(
    key_of,
    st.integers(0, 3),
    st.sets(st.sampled_from(list(Scope)), min_size=1, max_size=3).map(tuple),
    st.sampled_from([(), (SHOP,), (SHOP, OTHER)]),
    st.sampled_from([None, None, "expired", "revoked"]),
)


@given(
    rule=st.sampled_from(RULES),
    made=st.lists(KEYS, max_size=3, unique_by=lambda key: key.record.id),
    sent=st.sampled_from([None, "first", "stranger's"]),
    in_address=st.booleans(),
    origin=st.sampled_from([None, SHOP, OTHER, "null"]),
    loopback=st.booleans(),
    insecure=st.booleans(),
    known=st.booleans(),
)
def test_a_request_is_let_in_just_when_the_rules_say_so(
    rule, made, sent, in_address, origin, loopback, insecure, known
):
    view = view_of(*made) if known else AccessView()
    text = {None: None, "first": made[0].text if made else None, "stranger's": key_of(9).text}[sent]
    credentials = Credentials(*((None, text) if in_address else (text, None)), origin=origin)
    decided = decide(rule, credentials, view, AccessPolicy(insecure, loopback), NOW)
    assert outcome(decided) == expected(rule, view, text, in_address, origin, loopback, insecure)


def expected(rule, view, text, in_address, origin, loopback, insecure) -> int:
    """The rules, as a reader of the documentation would put them."""
    if insecure or rule.is_public or (loopback and view.is_known and not view.had_keys):
        return 200
    if not view.is_known:
        return 503
    key = next((key for key in view.keys.values() if text and keys.digest_of(text) == key.digest), None)
    if key is None or (in_address and not rule.beacons):
        return 401
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= NOW):
        return 401
    if in_address and set(key.scopes) != {Scope.EVENTS_WRITE}:
        return 403
    if key.origins and origin not in key.origins:
        return 403
    return 200 if Scope.ADMIN in key.scopes or set(key.scopes) & set(rule.scopes) else 403


@given(st.sampled_from(RULES), st.sampled_from(list(Scope)))
def test_one_scope_opens_just_the_routes_that_name_it(rule, scope):
    decided = decide(rule, Credentials(key_of(1, (scope,)).text), view_of(key_of(1, (scope,))), AccessPolicy(), NOW)
    assert outcome(decided) == (200 if rule.is_public or scope in {Scope.ADMIN, *rule.scopes} else 403)


def test_a_site_that_ever_had_a_key_is_open_to_nobody_again():
    view = AccessView(log_id="log", had_keys=True)
    assert outcome(decide(scopes.READS, Credentials(), view, AccessPolicy(loopback=True), NOW)) == 401


def test_the_principal_says_which_key_and_what_it_may():
    key = key_of(1, (Scope.USERS_READ,), (SHOP,))
    principal = decide(scopes.USER_READS, Credentials(key.text, origin=SHOP), view_of(key), AccessPolicy(), NOW)
    assert principal == Principal(key.record.id, "key", frozenset({Scope.USERS_READ}), is_public=True)


def test_a_person_counts_where_no_key_is_sent_and_only_within_the_scopes():
    person = Principal("ann", "person", frozenset({Scope.CATALOGUE_WRITE}))
    key = key_of(1, (Scope.USERS_READ,))
    view = view_of(key)
    assert decide(scopes.ITEM_WRITES, Credentials(person=person), view, AccessPolicy(), NOW) == person
    assert outcome(decide(scopes.USER_READS, Credentials(person=person), view, AccessPolicy(), NOW)) == 403
    assert decide(scopes.USER_READS, Credentials(key.text, person=person), view, AccessPolicy(), NOW).kind == "key"


def test_no_refusal_shows_the_key():
    key = key_of(1, (Scope.USERS_READ,), ended="revoked")
    for text in (key.text, key_of(9).text):
        refusal = decide(scopes.READS, Credentials(text), view_of(key), AccessPolicy(), NOW)
        assert text not in refusal.sentence


class TestTokensOfUsers:
    READER = key_of(1, (Scope.RECOMMENDATIONS_READ,), (SHOP,))
    POLICY = AccessPolicy(user_tokens=True, site_secret=SECRET)

    def status(self, token: str | None, users=("ann",), policy=POLICY, key=READER, made=(READER,), now=NOW) -> int:
        credentials = Credentials(key.text, origin=SHOP, user_token=token)
        return outcome(decide(scopes.READS_OF_USER, credentials, view_of(*made), policy, now, frozenset(users)))

    def token(self, user="ann", signer=READER, expires_at=int(NOW) + 60) -> str:
        secret = signing_secret(SECRET, signer.record.id)
        return make_user_token(secret, signer.record.id, user, expires_at)

    def test_a_page_reads_the_list_of_its_user_and_of_nobody_else(self):
        assert self.status(self.token("ann")) == 200
        assert self.status(self.token("bob")) == 401
        assert self.status(None) == 401
        assert self.status(self.token("ann"), ("ann", "bob")) == 401

    def test_what_is_about_nobody_needs_no_token(self):
        assert self.status(None, users=()) == 200

    def test_a_token_ends_and_none_lasts_longer_than_a_week(self):
        assert self.status(self.token(), now=NOW + 60) == 401
        assert self.status(self.token(expires_at=int(NOW) + 8 * 86_400)) == 401

    def test_only_a_live_key_that_may_read_can_sign(self):
        revoked = key_of(2, (Scope.RECOMMENDATIONS_READ,), ended="revoked")
        sender = key_of(3, (Scope.EVENTS_WRITE,))
        private = key_of(4, (Scope.RECOMMENDATIONS_READ,))
        for signer, status in ((revoked, 401), (sender, 401), (private, 200)):
            assert self.status(self.token(signer=signer), made=(self.READER, signer)) == status
        assert self.status(self.token(signer=private)) == 401, "a key that the site does not have"

    def test_a_private_key_and_a_site_without_the_setting_need_none(self):
        private = key_of(4, (Scope.RECOMMENDATIONS_READ,))
        assert self.status(None, key=private, made=(private,)) == 200
        assert self.status(None, policy=AccessPolicy(site_secret=SECRET)) == 200

    @given(st.text(max_size=80))
    def test_no_text_but_a_token_is_a_token(self, text):
        assert self.status(text) == 401


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_but_the_public_one_needs_a_scope(rule):
    assert rule.is_public == (rule is scopes.PUBLIC)
