"""One Kubernetes cluster, with the rights of the bot's own account. Used by the actions, the gatherers and `tocsin doctor` through `Kit`.

Objects stay plain JSON: a pod template that goes through the typed models would lose every field that this version of the models does not know,
and a rollback must put back exactly what was there. The official client does the connection: kubeconfig, TLS, tokens and their renewal.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from bot.clients.k8s_errors import EVICTION, Ask, refusal
from bot.errors import BadInput, Drifted, TryLater

Obj = dict[str, Any]

MOST_BYTES = 16_000_000  # of one answer: a list of 500 large pods
MOST_LISTED = 500
MOST_LOG_BYTES = 2_000_000  # of a log that is read; what is kept of it is the caller's to say
CONNECT_WITHIN = 5.0
JSON_PATCH = "application/json-patch+json"
CONFLICT, UNPROCESSABLE = 409, 422
NO_EVICTION_V1 = 'no kind "Eviction" is registered'


class Kubernetes:
    """Read workloads and what belongs to them; change them by JSON patch only; evict pods. Make it with `connect`, end it with `close`."""

    def __init__(self, client: ApiClient, answer_within: float = 10.0, namespaces: Collection[str] = ()) -> None:
        """`namespaces`: the only ones that it looks into; none: every one that the cluster lets it see."""
        self._client = client
        self._namespaces = frozenset(namespaces)
        self._answer_within = answer_within

    @classmethod
    async def connect(
        cls,
        *,
        kubeconfig: str = "",
        context: str = "",
        url: str = "",
        token: str = "",
        ca_file: str = "",
        answer_within: float = 10.0,
        namespaces: Collection[str] = (),
    ) -> Kubernetes:
        """By kubeconfig file, by address and token, or (nothing given) as a pod of the cluster. Talks to nobody yet. BadInput if it cannot work."""
        configuration = Configuration()
        try:
            if url:
                configuration.host = url.rstrip("/")
                configuration.ssl_ca_cert = ca_file or None
                if token:
                    configuration.api_key["BearerToken"] = f"Bearer {token}"
            elif kubeconfig:
                if not await asyncio.to_thread(Path(kubeconfig).is_file):
                    raise BadInput(f"kubernetes: there is no kubeconfig {kubeconfig}")
                await load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=kubeconfig,
                    context=context or None,
                    client_configuration=configuration,
                    persist_config=False,
                )
            else:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            configuration.disable_strict_ssl_verification = True  # clusters made by older tools lack a key identifier
            return cls(ApiClient(configuration), answer_within, namespaces)
        except ConfigException as error:
            where = (
                f"kubeconfig {kubeconfig}" if kubeconfig else "no kubeconfig is set, and this is not a pod of a cluster"
            )
            raise BadInput(f"kubernetes: {where}: {error}") from error
        except (OSError, ssl.SSLError, ValueError) as error:
            raise BadInput(f"kubernetes: {kubeconfig or url or 'in the cluster'}: {error}") from error

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    # -------------------------------------------------------------------------------------------- reading

    async def workload(self, resource: str, namespace: str, name: str) -> Obj:
        """One object of the group apps: `deployments`, `statefulsets`, `daemonsets`, `replicasets`, `controllerrevisions`."""
        return await self.json(Ask("get", resource, namespace, name, group="apps"))

    async def deployment(self, namespace: str, name: str) -> Obj:
        return await self.workload("deployments", namespace, name)

    async def deployments(self, namespace: str, selector: str = "") -> list[Obj]:
        return await self._list(Ask("list", "deployments", namespace, group="apps"), selector)

    async def replica_sets(self, namespace: str, deployment: Mapping[str, Any]) -> list[Obj]:
        """The ReplicaSets that this Deployment owns, in no particular order."""
        return await self._owned("replicasets", namespace, deployment)

    async def controller_revisions(self, namespace: str, owner: Mapping[str, Any]) -> list[Obj]:
        """The ControllerRevisions (the history) of this StatefulSet or DaemonSet, in no particular order."""
        return await self._owned("controllerrevisions", namespace, owner)

    async def _owned(self, resource: str, namespace: str, owner: Mapping[str, Any]) -> list[Obj]:
        selector = label_selector(owner["spec"]["selector"])
        found = await self._list(Ask("list", resource, namespace, group="apps"), selector)
        uid = owner["metadata"]["uid"]
        return [one for one in found if any(o.get("uid") == uid for o in one["metadata"].get("ownerReferences", ()))]

    async def replica_sets_of(self, namespace: str) -> list[Obj]:
        """All ReplicaSets of a namespace, whoever owns them."""
        return await self._list(Ask("list", "replicasets", namespace, group="apps"))

    async def replica_set(self, namespace: str, name: str) -> Obj:
        return await self.workload("replicasets", namespace, name)

    async def node(self, name: str) -> Obj:
        return await self.json(Ask("get", "nodes", name=name))

    async def nodes(self) -> list[Obj]:
        return await self._list(Ask("list", "nodes"))

    async def pod(self, namespace: str, name: str) -> Obj:
        return await self.json(Ask("get", "pods", namespace, name))

    async def pods(self, namespace: str, selector: str = "") -> list[Obj]:
        return await self._list(Ask("list", "pods", namespace), selector)

    async def events(self, namespace: str, fields: str = "") -> list[Obj]:
        """Events, by field selector (`type=Warning,involvedObject.name=checkout-1`)."""
        return await self._list(Ask("list", "events", namespace), fields=fields)

    async def log_tail(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        *,
        lines: int = 100,
        most_bytes: int = 64_000,
        previous: bool = False,
    ) -> list[str]:
        """The last lines of a container, the newest last; `previous`: of its last run before a restart."""
        query = {"tailLines": str(lines), "limitBytes": str(MOST_LOG_BYTES), "previous": str(previous).lower()}
        if container:
            query["container"] = container
        ask = Ask("get", "pods", namespace, pod, subresource="log")
        body = await self._send(ask, query=query, most_bytes=2 * MOST_LOG_BYTES)
        kept = body[-most_bytes:]
        text = kept.decode("utf-8", errors="replace")
        if len(kept) < len(body):
            text = text.partition("\n")[2] or text
        return text.splitlines()[-lines:]

    async def can(
        self, verb: str, resource: str, namespace: str = "", *, group: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """Whether the bot's account may do this (`can("patch", "deployments", "shop", group="apps")`)."""
        asked = {"verb": verb, "resource": resource, "namespace": namespace, "group": group}
        asked |= {"name": name, "subresource": subresource}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
        }
        ask = Ask("create", "selfsubjectaccessreviews", group="authorization.k8s.io")
        return bool((await self.json(ask, body=body)).get("status", {}).get("allowed"))

    async def version(self) -> str:
        """`v1.33.1`"""
        return str((await self.json(Ask("get", path="/version"))).get("gitVersion", "unknown"))

    # -------------------------------------------------------------------------------------------- changing

    async def patch_workload(
        self, resource: str, namespace: str, name: str, operations: Sequence[Mapping[str, Any]]
    ) -> Obj:
        """Apply a JSON patch (RFC 6902) to an object of the group apps, wholly or not at all; the new object.

        Raises Drifted when one of its `test` operations does not hold (any more), or somebody else wrote at the same time.
        """
        ask = Ask("patch", resource, namespace, name, group="apps")
        return await self.json(ask, body=[dict(operation) for operation in operations])

    async def patch_node(self, name: str, operations: Sequence[Mapping[str, Any]]) -> Obj:
        """Apply a JSON patch to a Node, as `patch_workload` does."""
        return await self.json(Ask("patch", "nodes", name=name), body=[dict(operation) for operation in operations])

    async def evict(self, namespace: str, pod: str, uid: str) -> None:
        """Ask for a pod's end, where its disruption budget allows it (else TryLater). Drifted when it has another uid, NotThere when it is gone."""
        ask = Ask("create", "pods", namespace, pod, subresource=EVICTION)
        body = {
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        try:
            await self._send(ask, body={**body, "apiVersion": "policy/v1"})
        except BadInput as error:
            if NO_EVICTION_V1 not in str(error):
                raise
            await self._send(ask, body={**body, "apiVersion": "policy/v1beta1"})  # Kubernetes before 1.22

    # -------------------------------------------------------------------------------------------- one request

    async def _list(self, ask: Ask, selector: str = "", fields: str = "") -> list[Obj]:
        query = {"limit": str(MOST_LISTED)}
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        return list((await self.json(ask, query=query)).get("items") or ())

    @property
    def connection(self) -> Any:
        """How the cluster is reached (kubernetes.aio.client.Configuration), for programs that speak to it themselves."""
        return self._client.configuration

    async def json(self, ask: Ask, *, query: Mapping[str, str] | None = None, body: Any = None) -> Obj:
        """The answer to any request, as JSON; raises what k8s_errors makes of a refusal."""
        answer = await self._send(ask, query=query, body=body)
        try:
            value = json.loads(answer)
        except ValueError as error:
            raise TryLater(f"kubernetes: the answer to {ask} is not JSON") from error
        if not isinstance(value, dict):
            raise TryLater(f"kubernetes: the answer to {ask} is not an object")
        return value

    async def _send(
        self, ask: Ask, *, query: Mapping[str, str] | None = None, body: Any = None, most_bytes: int = MOST_BYTES
    ) -> bytes:
        if self._namespaces and ask.namespace and ask.namespace not in self._namespaces:
            there = ", ".join(sorted(self._namespaces))
            raise BadInput(
                f"kubernetes: the namespace {ask.namespace} is none of those in tocsin.yaml (kubernetes.namespaces: {there})"
            )
        method, url, headers, sent, _ = await self._client.param_serialize(
            ask.method,
            ask.path_,
            query_params=list((query or {}).items()),
            header_params={"Accept": "*/*", "Content-Type": JSON_PATCH if ask.verb == "patch" else "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        limits = aiohttp.ClientTimeout(total=self._answer_within, sock_connect=CONNECT_WITHIN)
        try:
            answer = await self._client.rest_client.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=sent, _request_timeout=limits
            )
            response: aiohttp.ClientResponse = answer.response
            async with response:
                content = await _bounded(response, ask, most_bytes)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TryLater(f"kubernetes: cannot connect: {error}") from error
        except TimeoutError as error:
            raise TryLater(
                f"kubernetes: no answer to {ask} in {self._answer_within:g} s", uncertain=ask.writes
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TryLater(f"kubernetes: the connection broke during {ask}: {error}", uncertain=ask.writes) from error
        if response.status >= 300:
            raise self._refused(ask, response, content, sent)
        return content

    def _refused(self, ask: Ask, response: aiohttp.ClientResponse, content: bytes, sent: Any) -> Exception:
        """What a status other than success means. When writing, 409 is drift, and so is a refused JSON patch without a cause."""
        refused = refusal(ask, response.status, content, response.headers.get("Retry-After", ""))
        if not ask.writes or response.status not in (CONFLICT, UNPROCESSABLE):
            return refused.error
        if response.status == CONFLICT or (ask.verb == "patch" and not refused.causes and _tests(sent)):
            return Drifted(f"{ask.thing} has changed since the plan was made. Nothing was done; look at the new plan.")
        return refused.error


def _tests(operations: Iterable[Mapping[str, Any]]) -> bool:
    return any(operation.get("op") == "test" for operation in operations)


async def _bounded(response: aiohttp.ClientResponse, ask: Ask, most: int) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            response.close()
            raise BadInput(f"kubernetes: the answer to {ask} is larger than {most:,} bytes")
    return b"".join(parts)


def label_selector(selector: Mapping[str, Any]) -> str:
    """A selector object (`matchLabels`, `matchExpressions`) in the words of the API's query parameter."""
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        key, values = one["key"], ",".join(one.get("values") or ())
        words = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        terms.append(words[one["operator"]])
    return ",".join(terms)
