"""What a container wrote: annotation `rig/log`, the story of a bad image, or made-up requests; read by pods/log."""

from __future__ import annotations

from bot.practice.cluster import pods
from bot.practice.cluster.errors import ApiError, bad_request
from bot.practice.cluster.resources import Obj, stamp, unstamp

Line = tuple[float, str]

BAD_IMAGE = """\
checkout 1.4.2 starting (pid 1, python 3.11.9)
config: DATABASE_URL=postgres://checkout:hunter2@db:5432/shop?sslmode=disable
config: AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
payments: POST http://payments.shop.svc/v2/sessions
payments: > Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjaGVja291dCIsInNjb3BlIjoicGF5In0.c2lnbmF0dXJlLW9mLXRoZS1kZW1v
payments: < 404 Not Found
ERROR payments: /v2/sessions is not served by payments 3.8.1 (this build needs 4.0)
Traceback (most recent call last):
  File "/app/checkout/main.py", line 88, in <module>
    sessions = payments.open_pool(settings.PAYMENTS_URL, password="s3cr3t-Passw0rd")
  File "/app/checkout/payments.py", line 41, in open_pool
    raise IncompatibleServer(f"{url}: sessions API v2 not found")
checkout.payments.IncompatibleServer: http://payments.shop.svc: sessions API v2 not found
FATAL checkout cannot start: exiting with status 1
"""
REQUESTS = 50


def lines(pod: Obj, container: str, bad: str, now: float) -> list[Line]:
    """The container's output, oldest first; `bad` is what an image that crashes writes (empty: it does not crash)."""
    written = (pod["metadata"].get("annotations") or {}).get("rig/log")
    status = _status_of(pod, container)
    ended = status.get("lastState", {}).get("terminated", {}).get("finishedAt")
    if written is not None:
        return [(now, line) for line in written.splitlines()]
    if bad and ended:
        at = unstamp(ended)
        return [(at, f"{stamp(at)} {line}") for line in bad.splitlines()]
    started = unstamp(status.get("state", {}).get("running", {}).get("startedAt")) or unstamp(
        pod["metadata"]["creationTimestamp"]
    )
    made = []
    for back in range(REQUESTS):
        at = now - 2 * back
        if at < started:
            break
        tick = int(at) // 2
        made.append((at, f"{stamp(at)} {container}: GET /{container}/{tick % 9973} 200 {3 + tick % 37}ms"))
    return [(started, f"{stamp(started)} {container}: listening on :8080"), *reversed(made)]


def read(pod: Obj, query: dict[str, str], bad: str, now: float) -> str:
    """Answer of GET pods/log for these query parameters, refusals included."""
    container = _container(pod, query.get("container", ""))
    status = _status_of(pod, container)
    crashed = "terminated" in status.get("lastState", {})
    if query.get("previous") == "true" and not crashed:
        name = pod["metadata"]["name"]
        raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    waiting = status.get("state", {}).get("waiting", {}).get("reason", "" if status else "ContainerCreating")
    if waiting in ("ContainerCreating", "ImagePullBackOff"):
        why = "is waiting to start: " + (
            "trying and failing to pull image" if waiting != "ContainerCreating" else waiting
        )
        raise bad_request(f'container "{container}" in pod "{pod["metadata"]["name"]}" {why}')
    found = lines(pod, container, bad, now)
    if since := number(query, "sinceSeconds"):
        found = [line for line in found if line[0] >= now - since]
    tail = number(query, "tailLines")
    if tail is not None:
        found = found[-tail:] if tail else []
    marked = query.get("timestamps") == "true"
    text = "".join(f"{stamp(at)[:-1]}.000000000Z {line}\n" if marked else f"{line}\n" for at, line in found)
    limit = number(query, "limitBytes")
    return text if limit is None else text.encode()[:limit].decode(errors="ignore")


def number(query: dict[str, str], field: str) -> int | None:
    text = query.get(field)
    if text is None:
        return None
    try:
        value = int(text)
    except ValueError as err:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from err
    if value < (0 if field == "tailLines" else 1):
        least = "greater than or equal to 0" if field == "tailLines" else "greater than 0"
        text = f'PodLogOptions.meta.k8s.io "" is invalid: {field}: Invalid value: {value}: must be {least}'
        raise ApiError(422, "Invalid", text)
    return value


def _container(pod: Obj, asked: str) -> str:
    names = [str(box["name"]) for box in pod["spec"]["containers"]]
    pod_name = pod["metadata"]["name"]
    if asked:
        if asked not in names:
            raise bad_request(f"container {asked} is not valid for pod {pod_name}")
        return asked
    if len(names) > 1:
        raise bad_request(f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(names)}]")
    return names[0]


def _status_of(pod: Obj, container: str) -> Obj:
    found: list[Obj] = [c for c in pod["status"].get("containerStatuses") or [] if c["name"] == container]
    return found[0] if found else {}


def crashes(pod: Obj) -> bool:
    return pods.trouble(pod) == "CrashLoopBackOff"
