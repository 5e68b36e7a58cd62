"""The steps from a bare machine to two served models: `ci/up` runs all of them, `ci/test` those its lanes need."""

import os
from collections.abc import Collection
from functools import partial

from ci import cache, deploy, environment, images, models, packages, python
from ci.cluster import control_plane, node_images
from ci.run import run
from ci.steps import Step
from ci.tools import build, extra, keda


def python_environment(torch_index: str | None) -> list[Step]:
    return [Step("python", partial(python.install, torch_index), (), python.ready)]


def helm_tools() -> list[Step]:
    return [_tools("helm")]


def cluster_with_images(torch_index: str | None, variants: Collection[str]) -> list[Step]:
    """Steps to the local cluster with loaded images and trained models, but without the releases.

    `variants` are the images beside the two apps' own; a model of ours that needs one is made with it.
    """
    needs_packages = ("packages",)
    archives = [
        Step(f"debian {name}", partial(images.make_archive, name), needs_packages, images.archive(name).exists)
        for name in images.DEBIAN
    ]
    return [
        _packages("packages", packages.CLUSTER),
        Step("python", partial(python.install, torch_index), needs_packages, python.ready, low_priority=True),
        *(_tools(module, needs_packages) for module in build.PACKAGES),
        Step("clean caches", clean_caches, tuple(f"build {module}" for module in build.PACKAGES)),
        *archives,
        *models.steps(variants),
        Step("cluster", control_plane.up, ("build kube", "debian node"), control_plane.ready),
        *(step for image in (*images.APPS, *variants) for step in _image(image, torch_index)),
    ]


def clean_caches() -> None:
    """Removes Go's modules and objects, and results that no checkout uses: the next run needs none of them."""
    cache.use(*map(build.folder, build.PACKAGES), *map(extra.folder, extra.PROGRAMS), keda.folder())
    cache.use(*(images.archive(name).parent for name in images.DEBIAN), cache.CACHE / f"go-{build.GO}")
    cache.remove_unused(cache.CACHE)
    for folder in (build.ENVIRONMENT["GOCACHE"], build.ENVIRONMENT["GOMODCACHE"]):
        if os.path.exists(folder):
            run(["chmod", "-R", "u+w", folder])  # Go protects its modules
            run(["rm", "-r", folder])


def installed(variants: Collection[str]) -> list[Step]:
    """Steps that install and test both releases in the local cluster; they follow `cluster_with_images`."""
    variables = environment.local()
    artifacts = [step.name for step in models.steps(variants)]
    prepared = ("build helm", *artifacts, *(f"load {image}" for image in (*images.APPS, *variants)))
    return [
        Step("helmfile apply", partial(deploy.apply, variables), prepared),
        Step("helm test", partial(deploy.test, variables), ("helmfile apply",)),
        Step("answers", deploy.answers, ("helm test",)),
        Step("forget old images", deploy.forget_images, ("answers",)),
    ]


def clients(after: tuple[str, ...]) -> list[Step]:
    """Steps that install Chromium, curl, Java and nginx for tests; if they cannot be installed, tests are skipped."""
    if not packages.can_install():
        return []
    nginx = Step("nginx", packages.unpack_nginx, ("clients",), packages.NGINX.exists)
    return [_packages("clients", packages.CLIENTS, after), nginx]


def _packages(name: str, names: tuple[str, ...], after: tuple[str, ...] = ()) -> Step:
    return Step(name, partial(packages.install, names), after, lambda: not packages.missing(names))


def _tools(module: str, after: tuple[str, ...] = ()) -> Step:
    # The cluster needs kube first; helm then reuses the packages compiled for it.
    low_priority = module != "kube"
    return Step(f"build {module}", partial(build.build, module), after, build.folder(module).exists, low_priority)


def _image(image: str, torch_index: str | None) -> list[Step]:
    build_step = Step(
        f"image {image}",
        partial(images.build_app, image, torch_index),
        ("debian python",),
        partial(images.app_built, image),
        low_priority=True,
    )
    load_step = Step(
        f"load {image}",
        partial(node_images.load_app, image),
        ("cluster", build_step.name),
        partial(node_images.app_loaded, image),
    )
    return [build_step, load_step]
