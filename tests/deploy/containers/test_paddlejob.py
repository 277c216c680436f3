"""The PaddleJob against the fields of its CRD, the images it runs and the recipe it trains. No cluster here."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ppresnet.config import load

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy" / "containers" / "paddlejob.yaml"
# api/v1/paddlejob_types.go of PaddleFlow/paddle-operator, and the fields of Kubernetes 1.16 and later that a job needs.
# A type, a set of texts, [type of the items], or a mapping of fields of which those with `!` are required.
QUANTITY = re.compile(r"\d+(\.\d+)?(m|Ki|Mi|Gi|Ti|k|M|G|T)?")
LABELS = {"*": str}
METADATA = {"name": str, "namespace": str, "labels": LABELS, "annotations": LABELS}
SECURITY = {"runAsNonRoot": bool, "runAsUser": int, "runAsGroup": int}
CONTAINER = {
    "name!": str,
    "image!": str,
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "command": [str],
    "args": [str],
    "env": [{"name!": str, "value": str}],
    "ports": [{"name": str, "containerPort!": int}],
    "resources": {"requests": {"*": QUANTITY}, "limits": {"*": QUANTITY}},
    "securityContext": {
        **SECURITY,
        "allowPrivilegeEscalation": bool,
        "readOnlyRootFilesystem": bool,
        "capabilities": {"drop": [str]},
    },
    "volumeMounts": [{"name!": str, "mountPath!": str, "readOnly": bool, "subPath": str}],
}
POD = {
    "containers!": [CONTAINER],
    "restartPolicy": {"Always", "OnFailure", "Never"},
    "schedulerName": str,
    "nodeSelector": LABELS,
    "terminationGracePeriodSeconds": int,
    "securityContext": {**SECURITY, "fsGroup": int},
    "volumes": [
        {
            "name!": str,
            "persistentVolumeClaim": {"claimName!": str, "readOnly": bool},
            "emptyDir": {"medium": {"", "Memory"}, "sizeLimit": QUANTITY},
        }
    ],
}
RESOURCE = {"replicas!": int, "requests": int, "limits": int, "template": {"metadata": METADATA, "spec!": POD}}
SCHEMA: dict[str, Any] = {
    "apiVersion!": {"batch.paddlepaddle.org/v1"},
    "kind!": {"PaddleJob"},
    "metadata!": {**METADATA, "name!": str},
    "spec!": {
        "cleanPodPolicy": {"Always", "Never", "OnFailure", "OnCompletion"},
        "intranet": {"PodIP", "Service", "Host"},
        "withGloo": int,
        "elastic": int,
        "schedulingPolicy": {"minAvailable": int, "queue": str, "priorityClass": str, "minResources": {"*": QUANTITY}},
        "sampleSetRef": {"name!": str, "namespace": str, "mountPath!": str},
        "ps": RESOURCE,
        "worker!": RESOURCE,
        "heter": RESOURCE,
    },
}


def misfits(found: Any, schema: Any, place: str = "") -> list[str]:
    """Return where plain data does not fit a schema, and how."""
    if isinstance(schema, dict):
        if not isinstance(found, dict):
            return [f"{place}: expected a mapping"]
        known = {key.rstrip("!"): inner for key, inner in schema.items()}
        wrong = [f"{place}.{key} is missing" for key in known if f"{key}!" in schema and key not in found]
        for key, value in found.items():
            if key in known or "*" in known:
                wrong += misfits(value, known.get(key, known.get("*")), f"{place}.{key}")
            else:
                wrong.append(f"{place}.{key} is not known")
        return wrong
    if isinstance(schema, list):
        if not isinstance(found, list):
            return [f"{place}: expected a list"]
        return [one for n, item in enumerate(found) for one in misfits(item, schema[0], f"{place}[{n}]")]
    if isinstance(schema, set):
        return [] if found in schema else [f"{place}: {found!r} is none of {sorted(schema)}"]
    if isinstance(schema, re.Pattern):
        return [] if schema.fullmatch(str(found)) else [f"{place}: {found!r} is no quantity"]
    return [] if type(found) is schema else [f"{place}: expected {schema.__name__}"]


@pytest.fixture
def job() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    return dict(job["spec"]["worker"]["template"]["spec"])


def test_the_job_fits_its_schema(job: dict[str, Any]) -> None:
    assert misfits(job, SCHEMA) == []
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", job["metadata"]["name"])  # it becomes part of host names


@pytest.mark.parametrize(
    ("path", "value", "misfit"),
    [
        (("apiVersion",), "kubeflow.org/v1", ".apiVersion: 'kubeflow.org/v1' is none of"),
        (("spec", "cleanPodPolicy"), "OnFailed", ".spec.cleanPodPolicy: 'OnFailed' is none of"),
        (("spec", "tasks"), [], ".spec.tasks is not known"),
        (("spec", "worker", "replicas"), "2", ".spec.worker.replicas: expected int"),
        (("spec", "worker"), {}, ".spec.worker.replicas is missing"),
        (("spec", "worker", "template", "spec", "containers"), [{"name": "x"}], ".containers[0].image is missing"),
        (("spec", "worker", "template", "metadata", "annotations"), {"a": True}, ".annotations.a: expected str"),
        (("spec", "schedulingPolicy"), {"minResources": {"cpu": "many"}}, "'many' is no quantity"),
    ],
)
def test_the_schema_catches(job: dict[str, Any], path: tuple[str, ...], value: object, misfit: str) -> None:
    broken = copy.deepcopy(job)
    inner = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert any(misfit in one for one in misfits(broken, SCHEMA))


def test_the_job_trains_a_recipe_that_loads(job: dict[str, Any]) -> None:
    (container,) = pod_of(job)["containers"]
    arguments = container["args"]
    start = arguments.index("-o") + 1
    config = load(ROOT / arguments[arguments.index("-c") + 1], arguments[start:])
    assert "--resume" in arguments[:start]  # a pod that is started again
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert config.data.root == mounts["data"]
    assert f"/opt/ppresnet/{Path(config.output).parts[0]}" == mounts["runs"]
    assert container["command"][:3] == ["python3", "-m", "paddle.distributed.launch"]
    assert (ROOT / container["command"][-1]).is_file()
    port = str(config.log.prometheus_port)
    assert job["spec"]["worker"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == port
    assert [str(one["containerPort"]) for one in container["ports"]] == [port]
    assert config.log.prometheus_host == "0.0.0.0"  # noqa: S104 - the address of the pod is known later


def test_pods_run_as_the_user_of_the_image_and_without_rights(job: dict[str, Any]) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (FILE.parent / "Dockerfile.gpu").read_text(encoding="utf-8"), re.MULTILINE)
    assert user is not None
    security = pod_of(job)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user.groups()
    for container in pod_of(job)["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_the_image_is_pinned_and_every_mount_has_its_volume(job: dict[str, Any]) -> None:
    pod = pod_of(job)
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in pod["containers"]:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+:\d+\.\d+\.\d+[\w.-]*", container["image"])
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert set(container["resources"]["limits"]) == {"memory", "nvidia.com/gpu"}


def test_there_is_no_secret() -> None:
    assert not re.search(r"(?i)password|token|secret|api_?key", FILE.read_text(encoding="utf-8"))
