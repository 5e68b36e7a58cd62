"""The page at /."""

from apps.serving.tests import pages


def test_it_is_complete_by_itself_and_its_policy_allows_only_this_origin(client):
    pages.is_complete(client)
