"""The steps from a bare machine to two served models: what `ci/up` runs whole, and `ci/test` as far as it needs."""

from functools import partial

from ci import deploy, environment, images, models, packages, python
from ci.cluster import control_plane
from ci.steps import Step
from ci.tools import build


def python_environment(torch_index: str | None) -> list[Step]:
    return [Step("python", partial(python.install, torch_index), (), python.ready)]


def helm_tools() -> list[Step]:
    return [_tools("helm")]


def cluster_with_images(torch_index: str | None) -> list[Step]:
    """The local cluster with both images loaded, and the models trained; nothing is installed in it."""
    needs_packages = ("packages",)
    archives = [
        Step(f"debian {name}", partial(images.make_archive, name), needs_packages, images.archive(name).exists)
        for name in images.DEBIAN
    ]
    return [
        Step("packages", packages.install, (), lambda: not packages.missing()),
        Step("python", partial(python.install, torch_index), needs_packages, python.ready, patient=True),
        *(_tools(module, needs_packages) for module in build.PACKAGES),
        *archives,
        *models.steps(),
        Step("cluster", control_plane.up, ("build kube", "debian node"), control_plane.ready),
        *(step for app in images.APPS for step in _image(app, torch_index)),
    ]


def installed() -> list[Step]:
    """Both releases in the local cluster, tested; follows `cluster_with_images`."""
    variables = environment.local()
    prepared = ("build helm", *(step.name for step in models.steps()), *(f"load {app}" for app in images.APPS))
    return [
        Step("helmfile apply", partial(deploy.apply, variables), prepared),
        Step("helm test", partial(deploy.test, variables), ("helmfile apply",)),
        Step("answers", deploy.answers, ("helm test",)),
        Step("forget old images", deploy.forget_images, ("answers",)),
    ]


def _tools(module: str, after: tuple[str, ...] = ()) -> Step:
    # The cluster waits for kube; what helm shares with it is compiled then.
    patient = module != "kube"
    return Step(f"build {module}", partial(build.build, module), after, build.folder(module).exists, patient)


def _image(app: str, torch_index: str | None) -> list[Step]:
    build_step = Step(
        f"image {app}",
        partial(images.build_app, app, torch_index),
        ("debian python",),
        partial(images.app_built, app),
        patient=True,
    )
    load_step = Step(
        f"load {app}", partial(images.load_app, app), ("cluster", build_step.name), partial(images.app_loaded, app)
    )
    return [build_step, load_step]
