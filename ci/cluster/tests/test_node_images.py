"""Images that nothing can use leave the node and buildah's store."""

from ci import images
from ci.cluster import node, node_images


def test_stages_of_builds_and_images_that_nothing_can_use_do_not_fill_the_disk(monkeypatch):
    present, latest = images.app_names("lm")
    used, old, of_removed_node = (
        f"docker.io/library/{name}"
        for name in ("lm-service:v1-used", "classifier-service:v1-old", "lm-service:v1-of-a-removed-node")
    )
    kept = [present, latest, used, "localhost/debian-python:1"]
    calls: list[tuple[str, ...]] = []

    def inside(*words: str) -> str:
        if "list" not in words:
            calls.append(words[2:])
        return "\n".join([old, *kept])

    monkeypatch.setattr(node, "inside", inside)
    monkeypatch.setattr(images, "names", lambda: [of_removed_node, old, *kept])
    monkeypatch.setattr(node_images, "succeeds", lambda words, **_: calls.append(tuple(words[-3:])))
    node_images.forget({used})
    assert calls[0] == ("images", "remove", old)
    assert [words[-2:] for words in calls[1:]] == [(of_removed_node, old), ("rmi", "--prune")]
